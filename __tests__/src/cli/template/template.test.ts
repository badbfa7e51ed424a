import { describe, expect, test } from '@jest/globals';
import { printList } from '../../../../src/cli/print-list.ts';
import { labelOf, parseRowTemplate, renderTemplate } from '../../../../src/cli/template/index.ts';
import { UsageError } from '../../../../src/cli/usage-error.ts';

const fields = {
  ID: 'abc',
  Name: '/web',
  Image: 'repo/app:v1',
  State: { Status: 'running', ExitCode: 0, Running: true, Health: { Status: 'healthy', Log: [] } },
  Args: ['-c', 'echo "hi"'],
  NetworkSettings: {
    Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '53/udp': null },
    Networks: { bridge: { IPAddress: '10.0.0.2' } },
  },
  Config: { Labels: { b: '2', a: '1', 'org.x/y': 'z' }, Env: ['A=1', 'B=2'] },
  Actor: { ID: 'abc', Attributes: { name: 'web' } },
  Size: 1234567,
  None: null,
};

describe('a template', () => {
  test.each([
    ['{{.ID}}\\t{{ .State.Status }}', 'abc\trunning'],
    ['{{json .State.Health}}', '{"Status":"healthy","Log":[]}'],
    ['{{.State.Health.Status}}', 'healthy'],
    ['{{.Config.Labels}} {{.None}} {{.Args}}', 'map[a:1 b:2 org.x/y:z] <no value> [-c echo "hi"]'],
    ['{{.Config.Labels.nope}}', '<no value>'],
    ['{{.Actor.Attributes.name}} {{.Actor.Attributes.nope}}', 'web <no value>'],
    ['json', JSON.stringify(fields)],
    ['{{json .}}', JSON.stringify(fields)],
    ['{{index .Config.Labels "org.x/y"}} {{index .Args 1}}', 'z echo "hi"'],
    ['{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080'],
    [
      '{{range $p, $c := .NetworkSettings.Ports}}{{$p}}={{if $c}}{{(index $c 0).HostPort}}{{else}}-{{end}};{{end}}',
      '53/udp=-;80/tcp=8080;',
    ],
    ['{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', '10.0.0.2'],
    ['{{range $i, $e := .Config.Env}}{{if $i}},{{end}}{{$e}}{{end}}', 'A=1,B=2'],
    ['{{range .Config.Env}}{{println .}}{{end}}', 'A=1\nB=2\n'],
    ['{{range .None}}x{{else}}none{{end}}', 'none'],
    ['{{range .Config.Env}}{{.}}{{break}}{{end}}', 'A=1'],
    ['{{range $i, $e := .Config.Env}}{{if eq $i 0}}{{continue}}{{end}}{{$e}}{{end}}', 'B=2'],
    ['{{if and .State.Running (eq .State.ExitCode 0)}}up{{else}}down{{end}}', 'up'],
    ['{{if eq .ID "x"}}1{{else if eq .ID "x" "abc"}}2{{else}}3{{end}}', '2'],
    ['{{if not .State.Health.Log}}quiet{{end}}', 'quiet'],
    ['{{with .State.Health}}{{.Status}} of {{$.ID}}{{end}}', 'healthy of abc'],
    ['{{$x := .ID}}{{$x}}{{$x = "y"}}{{$x}}', 'abcy'],
    ['{{.Name | printf "%s!" | upper}}', '/WEB!'],
    ['{{len .Args}} {{len .ID}} {{len .Config.Labels}}', '2 3 3'],
    ['{{join .Args "+"}} {{index (split .Image ":") 1}}', '-c+echo "hi" v1'],
    ['{{lower "AB"}} {{title "ab cd"}} {{pad .ID 1 2}}| {{truncate .Image 4}}', 'ab Ab Cd  abc  | repo'],
    ['{{slice .ID 1}} {{slice .ID 0 2}}', 'bc ab'],
    [
      '{{printf "%s %q %d %5d %-5s| %05.1f %t %v %x %%" .ID .ID .Size 7 "a" 3.14159 true .Args 255}}',
      'abc "abc" 1234567     7 a    | 003.1 true [-c echo "hi"] ff %',
    ],
    ['{{print .ID 1 2 "x"}}', 'abc1 2x'],
    ['a  {{- .ID -}}  b{{/* said */}}', 'aabcb'],
    ['{{"a\\tb}}"}}{{`raw\\n`}}', 'a\tb}}raw\n'],
    ['{{or .None .ID}}{{and .None .ID}}', 'abc<no value>'],
    ['{{gt .Size 1000}} {{le 1 1}} {{ne .ID "x"}} {{\'a\'}}', 'true true true 97'],
    ['no action', 'no action'],
    ['', ''],
  ])('%s', (template, text) => expect(renderTemplate(template, fields)).toBe(text));

  test.each([
    ['{{.Nope}}', 'executing "" at <.Nope>: map has no entry for key "Nope"'],
    ['{{.State.Nope.Status}}', 'executing "" at <.State.Nope.Status>: map has no entry for key "Nope"'],
    ['{{.ID', 'unclosed action'],
    ['{{.ID}}{{end}}', 'unexpected {{end}}'],
    ['{{if .ID}}x', 'unexpected EOF'],
    ['{{nope .ID}}', 'function "nope" not defined'],
    ['{{index .Args 7}}', 'error calling index: reflect: slice index out of range: 7 with length 2'],
    ['{{len .None}}', 'error calling len: len of nil pointer'],
    ['{{.ID .Name}}', "can't give argument to non-function .ID"],
    ['{{define "x"}}{{end}}', '{{define}} is not supported'],
    ['{{$nope}}', 'undefined variable "$nope"'],
    ['{{"open}}', 'unterminated quoted string'],
    ['{{}}', 'missing value for command'],
    ['{{(.ID}}', 'unclosed left paren'],
    ['{{break}}', '{{break}} outside {{range}}'],
    ['{{join .ID ","}}', 'error calling join: wrong type for value'],
    ['{{.ID | }}', 'missing value for command'],
    ['{{if}}{{end}}', 'missing value for if'],
  ])('refuses %s in Docker’s words', (template, message) => {
    const render = (): unknown => renderTemplate(template, fields);
    expect(render).toThrow(UsageError);
    expect(render).toThrow(`template parsing error: template: :1: ${message}`);
  });

  test('never reaches what an object inherits', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(() => renderTemplate(`{{.${name}}}`, fields)).toThrow(/no entry for key|undefined/);
      expect(() => renderTemplate(`{{${name} .ID}}`, fields)).toThrow('not defined');
    }
  });
});

describe('a list', () => {
  const columns = [
    ['CONTAINER ID', 'ID'],
    ['CREATED', 'RunningFor'],
  ] as const;
  const print = (format: string | undefined, rows: readonly Record<string, unknown>[]): string => {
    let text = '';
    const write = (chunk: string | Uint8Array): void => void (text += Buffer.from(chunk).toString());
    const stdout = { write, send: async (chunk: Uint8Array) => write(chunk), isTTY: false, columns: 80 };
    printList({ stdout }, rows, { columns, format });
    return text;
  };
  const rows = [
    { ID: 'a1', RunningFor: '2 days ago', LocalVolumes: '0', Label: labelOf({ 'org.x.git-rev': 'f00' }) },
    { ID: 'b2', RunningFor: 'now', LocalVolumes: '1', Label: labelOf({}) },
  ];

  test.each([
    [undefined, 'CONTAINER ID   CREATED\na1             2 days ago\nb2             now\n'],
    [
      'table {{.ID}}\\t{{.RunningFor | upper}}',
      'CONTAINER ID   CREATED\na1             2 DAYS AGO\nb2             NOW\n',
    ],
    ['table {{.LocalVolumes}} {{.ID}}', 'LOCAL VOLUMES CONTAINER ID\n0 a1\n1 b2\n'],
    ['{{.ID}}', 'a1\nb2\n'],
    [
      '{{range $k, $v := .}}{{$k}}={{$v}} {{end}}',
      'ID=a1 LocalVolumes=0 RunningFor=2 days ago \nID=b2 LocalVolumes=1 RunningFor=now \n',
    ],
    ['{{.ID}} {{.Label "org.x.git-rev"}}|', 'a1 f00|\nb2 |\n'],
    ['table {{.ID}}\\t{{.Label "org.x.git-rev"}}', 'CONTAINER ID   git rev\na1             f00\nb2\n'],
    [
      'json',
      '{"ID":"a1","LocalVolumes":"0","RunningFor":"2 days ago"}\n{"ID":"b2","LocalVolumes":"1","RunningFor":"now"}\n',
    ],
  ])('is printed by %s', (format, text) => expect(print(format, rows)).toBe(text));

  test('heads stand there when there is no row', () => {
    expect(print('table {{.ID}}\\t{{json .RunningFor}}', [])).toBe('CONTAINER ID   CREATED\n');
  });

  test('a field that no row has is named', () => {
    expect(() => parseRowTemplate('{{.Nope}}').render({ ID: 'a' })).toThrow("can't evaluate field Nope");
  });
});
