/** Which part of the picture is seen: {scale, x, y}, screen = picture · scale + (x, y). Pure functions. */

const MOST = 40; // screen pixels for one of the picture

/** The whole picture in the middle of a field of `across` × `down` screen pixels. */
export function fitted(width, height, across, down, margin = 12) {
  const scale = Math.max(
    1e-3,
    Math.min((across - 2 * margin) / width, (down - 2 * margin) / height, Math.max(1, MOST / 8)),
  );
  return { scale, x: (across - width * scale) / 2, y: (down - height * scale) / 2 };
}

/** Zoomed by `factor`; the point of the picture under (sx, sy) stays there. */
export function zoomed(view, factor, sx, sy, least) {
  const scale = Math.min(MOST, Math.max(least, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: sx - (sx - view.x) * by, y: sy - (sy - view.y) * by };
}

export const panned = (view, dx, dy) => ({ ...view, x: view.x + dx, y: view.y + dy });

/** The view moved so that the picture is never out of sight: a smaller one lies inside, a larger one covers the middle. */
export function kept(view, width, height, across, down) {
  const along = (at, size, field) => {
    const length = size * view.scale;
    if (length <= field) return Math.min(Math.max(at, 0), field - length);
    return Math.min(Math.max(at, field / 2 - length), field / 2);
  };
  return { ...view, x: along(view.x, width, across), y: along(view.y, height, down) };
}

/** The view moved, by no more than it takes, so that `box` is seen. */
export function revealing(view, box, across, down, margin = 40) {
  const by = (low, high, field) => {
    if (high - low > field - 2 * margin) return field / 2 - (low + high) / 2;
    if (low < margin) return margin - low;
    return high > field - margin ? field - margin - high : 0;
  };
  const [x1, y1] = toScreen(view, box[0], box[1]);
  const [x2, y2] = toScreen(view, box[2], box[3]);
  const inside = x1 >= 0 && y1 >= 0 && x2 <= across && y2 <= down;
  return inside ? view : panned(view, by(x1, x2, across), by(y1, y2, down));
}

export const toPicture = (view, sx, sy) => [(sx - view.x) / view.scale, (sy - view.y) / view.scale];
export const toScreen = (view, x, y) => [x * view.scale + view.x, y * view.scale + view.y];
