import type { Check, SmokeReport } from './report.ts';

/** The report as JUnit's XML, as CI systems read it: a test case a check. Warnings and what was not tested are skipped cases with a reason. */
export function toJUnit(report: SmokeReport, image: string): string {
  const { checks } = report;
  const count = (...states: readonly Check['status'][]): number =>
    checks.filter(({ status }) => states.includes(status)).length;
  const seconds = checks.reduce((sum, { milliseconds = 0 }) => sum + milliseconds, 0) / 1000;
  const counts = `tests="${checks.length}" failures="${count('failed')}" errors="0" skipped="${count('skipped', 'untested')}" time="${seconds.toFixed(3)}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="smoke test" ${counts}>`,
    `    <properties><property name="image" value="${attribute(image)}"/></properties>`,
    ...checks.map(testCase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function testCase({ name, status, milliseconds = 0, summary = '', hint, failure, reason, location }: Check): string {
  const place = location === undefined ? '' : ` file="${attribute(location.file)}" line="${location.startLine}"`;
  const head = `    <testcase classname="smoke" name="${attribute(name)}" time="${(milliseconds / 1000).toFixed(3)}"${place}`;
  if (status === 'passed') return `${head}/>`;
  const told = [summary, ...(hint === undefined ? [] : [hint])].join('\n');
  if (status === 'warning') return `${head}><system-out>${text(`warning: ${told}`)}</system-out></testcase>`;
  if (status !== 'failed') return `${head}><skipped message="${attribute(told)}"/></testcase>`;
  const { problems = [], curl, body, log = [] } = failure ?? {};
  const details = [...problems, ...(curl === undefined ? [] : [curl]), ...(body === undefined ? [] : [body]), ...log];
  return `${head}><failure type="${attribute(reason ?? 'assertion')}" message="${attribute(summary)}">${text(details.join('\n'))}</failure></testcase>`;
}

function attribute(value: string): string {
  return text(value).replaceAll('"', '&quot;').replaceAll('\n', '&#10;');
}

/** What XML 1.0 has no way to say is left out. */
function text(value: string): string {
  return value
    .replaceAll(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
