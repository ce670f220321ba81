// Where photos go: rows of equal height that fill the width. Plain numbers, without elements.

const NARROW = 0.45;
const WIDE = 3.2;
const MOST = 1.25; // times the height that is wanted: a short row is not stretched further

export const ratioOf = ({ width, height }) => (width && height ? Math.min(WIDE, Math.max(NARROW, width / height)) : 1);

/**
 * Boxes {x, y, w, h} for photos with these ratios of width to height, and the height of all. The rows fill the width and
 * are broken where their heights come nearest to `target`. Only the last row may stay short, if `open` says so.
 */
export function justify(ratios, width, target, gap, open = true) {
  const count = ratios.length;
  const best = [0, ...Array(count).fill(Infinity)]; // the least cost of all rows before a photo
  const from = Array(count + 1).fill(0);
  const heights = Array(count + 1).fill(target);
  for (let first = 0; first < count; first++) {
    let sum = 0;
    for (let end = first + 1; end <= count; end++) {
      sum += ratios[end - 1];
      const full = (width - gap * (end - first - 1)) / sum;
      if (full < target * 0.5 && end > first + 1) break;
      const short = open && end === count && full > target * MOST;
      const cost = best[first] + (short ? 0.02 : Math.log(full / target) ** 2);
      if (cost < best[end]) [best[end], from[end], heights[end]] = [cost, first, short ? target : full];
    }
  }
  const ends = [];
  for (let end = count; end > 0; end = from[end]) ends.unshift(end);
  const boxes = [];
  let [first, y] = [0, 0];
  for (const end of ends) {
    const exact = heights[end];
    const h = Math.round(exact);
    let x = 0;
    for (const one of ratios.slice(first, end)) {
      const right = Math.round(x + one * exact); // whole pixels: no seams
      boxes.push({ x, y, w: right - x, h });
      x = right + gap;
    }
    y += h + gap;
    first = end;
  }
  return { boxes, height: Math.max(0, y - gap) };
}

/** The height that so many photos will take, before their sizes are known. */
export function estimate(count, ratio, width, target, gap) {
  const rows = Math.max(1, Math.round((count * ratio * target) / width));
  const h = Math.min((width * rows) / (count * ratio), target * MOST);
  return rows * h + (rows - 1) * gap;
}
