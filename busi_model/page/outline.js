// Geometry of outlines for editor.js: lists of [x, y] go in and come out, nothing else is touched.

// A smoothing step that does not shrink: Taubin, "A signal processing approach to fair surface design", 1995.
function smoothed(points) {
  const step = (given, weight) => given.map(([x, y], i) => {
    const [before, after] = [given.at(i - 1), given[(i + 1) % given.length]];
    return [x + weight * ((before[0] + after[0]) / 2 - x), y + weight * ((before[1] + after[1]) / 2 - y)];
  });
  return step(step(points, 0.5), -0.53);
}
// Fewer points, none of them further from the stroke than the tolerance: Douglas and Peucker, 1973.
function simplified(points, tolerance) {
  if (points.length < 3) return points;
  let far = 0, most = 0;
  points.forEach((point, i) => {
    const away = nearestOn(points[0], points.at(-1), point).distance;
    if (away > most) [far, most] = [i, away];
  });
  if (most <= tolerance) return [points[0], points.at(-1)];
  return [...simplified(points.slice(0, far + 1), tolerance).slice(0, -1), ...simplified(points.slice(far), tolerance)];
}
function nearestOn([ax, ay], [bx, by], [x, y]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0), 1);
  const point = [ax + along * dx, ay + along * dy];
  return { point, distance: Math.hypot(x - point[0], y - point[1]) };
}
