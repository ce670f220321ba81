"""The losses, compared with those of open_clip."""

import math

import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss, SigLipLoss

from searcher.trainer.loss import clip_loss, distillation_loss, prototype_loss, sigmoid_loss


def features(n: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)), dim=-1).requires_grad_()


def test_clip_loss_and_its_gradients_equal_those_of_open_clip() -> None:
    ours = [features(12, 1), features(12, 2), torch.tensor(20.0, requires_grad=True)]
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    loss, expected = clip_loss(*ours), ClipLoss()(*theirs)
    loss.backward()  # type: ignore[no-untyped-call]
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-6, rtol=0)


def test_unique_ids_do_not_change_the_loss() -> None:
    image, text, scale = features(8, 1), features(8, 2), torch.tensor(20.0)
    ids = torch.arange(16).reshape(8, 2)
    torch.testing.assert_close(clip_loss(image, text, scale, ids), clip_loss(image, text, scale))


def test_rows_that_share_an_id_share_the_target() -> None:
    image, scale = torch.eye(3), torch.tensor(50.0)
    text = torch.stack([image[0], image[0], image[2]])  # the first two images have the same caption
    ids = torch.tensor([[7, 1], [7, 2], [9, 3]])
    cosines = scale * image @ text.T
    target = torch.tensor([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    expected = (F.cross_entropy(cosines, target) + F.cross_entropy(cosines.T, target)) / 2
    torch.testing.assert_close(clip_loss(image, text, scale, ids), expected)
    label = torch.tensor([[1, 5], [2, 5], [3, 6]])  # the second column matches: different captions, same class
    torch.testing.assert_close(clip_loss(image, text, scale, label), expected)


def test_distillation_loss_is_zero_for_the_teachers_direction_and_two_for_the_opposite() -> None:
    teacher = features(4, 3).detach()
    assert distillation_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-6)
    assert distillation_loss(-teacher, teacher).item() == pytest.approx(2, abs=1e-6)
    assert not math.isnan(distillation_loss(torch.zeros(1, 16), teacher[:1]).item())


def test_prototype_loss_counts_only_images_with_a_class() -> None:
    image, prototypes, scale = features(4, 1), features(3, 2).detach(), torch.tensor(10.0)
    every = torch.ones(4, 3, dtype=torch.bool)
    loss = prototype_loss(image, prototypes, scale, torch.tensor([2, -1, 0, -1]), every)
    expected = F.cross_entropy(scale * image[[0, 2]] @ prototypes.T, torch.tensor([2, 0]))
    torch.testing.assert_close(loss, expected)
    assert prototype_loss(image, prototypes, scale, torch.full((4,), -1), every).item() == 0


def test_prototype_loss_compares_an_image_only_with_its_rivals() -> None:
    image, prototypes, scale = features(2, 1), features(3, 2).detach(), torch.tensor(10.0)
    rivals = torch.tensor([[True, False, True], [True, True, True]])
    loss = prototype_loss(image, prototypes, scale, torch.tensor([2, 1]), rivals)
    first = F.cross_entropy(scale * image[:1] @ prototypes[[0, 2]].T, torch.tensor([1]))
    second = F.cross_entropy(scale * image[1:] @ prototypes.T, torch.tensor([1]))
    torch.testing.assert_close(loss, (first + second) / 2)


def test_sigmoid_loss_and_its_gradients_equal_those_of_open_clip() -> None:
    ours = [features(12, 1), features(12, 2), torch.tensor(9.0, requires_grad=True)]
    ours.append(torch.tensor(-7.0, requires_grad=True))
    theirs = [tensor.detach().clone().requires_grad_() for tensor in ours]
    loss, expected = sigmoid_loss(*ours), SigLipLoss()(*theirs)
    loss.backward()  # type: ignore[no-untyped-call]
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-6, rtol=0)


def test_sigmoid_loss_treats_rows_that_share_an_id_as_positive() -> None:
    image, text, scale, bias = features(3, 1), features(3, 2), torch.tensor(9.0), torch.tensor(-2.0)
    logits = scale * image @ text.T + bias
    yes = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    expected = -(yes * F.logsigmoid(logits) + ~yes * F.logsigmoid(-logits)).sum() / 3
    found = sigmoid_loss(image, text, scale, bias, torch.tensor([[4], [4], [5]]))
    torch.testing.assert_close(found, expected)


def test_label_smoothing_spreads_part_of_the_target_over_all_rows() -> None:
    image, text, scale = features(5, 1), features(5, 2), torch.tensor(20.0)
    logits = scale * image @ text.T
    target = 0.9 * torch.eye(5) + 0.1 / 5
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    for ids in (None, torch.arange(5)[:, None]):
        torch.testing.assert_close(clip_loss(image, text, scale, ids, label_smoothing=0.1), expected)


def test_rows_without_a_teacher_do_not_count() -> None:
    student, teacher = features(4, 1), features(4, 2).detach()
    expected = distillation_loss(student[:3], teacher[:3])
    silent = torch.cat([teacher[:3], torch.zeros(1, 16)])
    torch.testing.assert_close(distillation_loss(student, silent), expected)
    assert distillation_loss(student, torch.zeros(4, 16)).item() == 0
