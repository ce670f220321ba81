// Where photos go: rows of equal height that fill the width. Plain numbers, without elements.

const NARROW = 0.45;
const WIDE = 3.2;
const MOST = 1.25; // a row that is not full is this much higher than others

export const ratioOf = ({ width, height }) => (width && height ? Math.min(WIDE, Math.max(NARROW, width / height)) : 1);

/**
 * Boxes {x, y, w, h} for photos with these ratios of width to height, and the height of all.
 * The rows are broken so that their heights are as equal as possible, near `target`.
 */
export function justify(ratios, width, target, gap) {
  const total = ratios.reduce((sum, ratio) => sum + ratio, 0);
  const rows = Math.max(1, Math.round((total * target) / width));
  const boxes = [];
  let [first, passed, inRow, made, y] = [0, 0, 0, 0, 0];
  ratios.forEach((ratio, at) => {
    inRow += ratio;
    passed += ratio;
    const end = ((made + 1) * total) / rows;
    const next = ratios[at + 1];
    if (next !== undefined && (made === rows - 1 || passed + next / 2 < end)) return;
    const gaps = gap * (at - first);
    const full = (width - gaps) / inRow;
    const h = Math.round(Math.min(full, target * MOST));
    let x = 0;
    for (const one of ratios.slice(first, at + 1)) {
      const end = Math.round(x + one * Math.min(full, target * MOST)); // whole pixels: no seams
      boxes.push({ x, y, w: end - x, h });
      x = end + gap;
    }
    y += h + gap;
    [first, inRow, made] = [at + 1, 0, made + 1];
  });
  return { boxes, height: Math.max(0, y - gap) };
}

/** The height that so many photos will take, before their sizes are known. */
export function estimate(count, ratio, width, target, gap) {
  const rows = Math.max(1, Math.round((count * ratio * target) / width));
  const h = Math.min((width * rows) / (count * ratio), target * MOST);
  return rows * h + (rows - 1) * gap;
}
