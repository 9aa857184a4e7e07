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
// A closed outline with a stroke in place of the part between the stroke's ends: of the two ways round, the one that
// keeps more of the outline, by length.
function withPart(points, part) {
  const spot = (p) => points.reduce((best, point, i) => {
    const found = nearestOn(point, points[(i + 1) % points.length], p);
    return found.distance < best.distance ? { after: i, ...found } : best;
  }, { distance: Infinity });
  const [start, end] = [spot(part[0]), spot(part.at(-1))];
  // Corners on the way from one spot to the other, in the order of the outline.
  const way = (from, to) => {
    const ahead = (spot) => Math.hypot(spot.point[0] - points[spot.after][0], spot.point[1] - points[spot.after][1]);
    const steps = (to.after - from.after + points.length) % points.length;
    const round = steps === 0 && ahead(to) < ahead(from) ? points.length : steps;
    return [...Array(round).keys()].map((i) => points[(from.after + 1 + i) % points.length]);
  };
  const length = (corners) => corners.reduce((sum, p, i) => sum + (i && Math.hypot(p[0] - corners[i - 1][0],
    p[1] - corners[i - 1][1])), 0);
  const [out, back] = [way(start, end), way(end, start)];
  const kept = length([start.point, ...out, end.point]) > length([end.point, ...back, start.point]) ? out : back;
  return kept === back ? [...part, ...back] : [...[...part].reverse(), ...out];
}
