import type { Results } from './results.ts';

const WIDTH = 760;
const LABEL = 110;
const BAR = 14;
const GAP = 12;
const TOP = 40;
const COLORS = ['#2563eb', '#9ca3af', '#d1d5db', '#f59e0b'];

/** The picture `docs/performance.svg`: a group of bars a task, each as long as its share of the slowest tool's wall time. */
export function formatPlot({ tasks, peers }: Results): string {
  let y = TOP;
  const shapes: string[] = peers.map(
    ({ name }, at) =>
      `<rect x="${LABEL + at * 160}" y="10" width="12" height="12" fill="${color(at)}"/>` +
      `<text x="${LABEL + 18 + at * 160}" y="20">${name}</text>`,
  );
  for (const { name, results } of tasks) {
    const slowest = Math.max(...results.map(({ wall }) => wall.median));
    shapes.push(`<text x="${LABEL - 8}" y="${y + BAR}" text-anchor="end" font-weight="bold">${name}</text>`);
    for (const { peer, wall } of results) {
      const length = Math.max(1, (wall.median / slowest) * (WIDTH - LABEL - 80));
      const at = peers.findIndex((one) => one.name === peer);
      shapes.push(
        `<rect x="${LABEL}" y="${y}" width="${length.toFixed(1)}" height="${BAR - 2}" fill="${color(at)}"/>`,
        `<text x="${(LABEL + length + 6).toFixed(1)}" y="${y + BAR - 4}">${wall.median.toFixed(2)} s</text>`,
      );
      y += BAR;
    }
    y += GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="sans-serif" font-size="11" role="img">`,
    '<title>Wall time of berth and its peers, shorter is better</title>',
    '<rect width="100%" height="100%" fill="#ffffff"/>',
    ...shapes,
    '</svg>\n',
  ].join('\n');
}

function color(at: number): string {
  return COLORS[at % COLORS.length] ?? '#000000';
}
