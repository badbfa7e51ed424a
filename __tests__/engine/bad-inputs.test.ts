import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError, isEngineError } from '../../engine/base/errors.ts';
import { parseReference } from '../../engine/image/reference.ts';
import type { Resolver } from '../../engine/graph/index.ts';
import { createResolver, graphOf } from '../helpers/graph.ts';
import { lint } from '../helpers/lint.ts';

/** A resolver that reads references as the engine's own does. */
const resolver: Resolver = {
  resolve: async (reference, platform) => {
    parseReference(reference);
    return await createResolver().resolve(reference, platform);
  },
};

interface Refusal {
  /** Number in the catalogue of bad inputs. */
  readonly at: number;
  readonly text: string;
  readonly line: number;
  readonly says: string;
  readonly hint?: string;
}

const NESTED = `${'${A:-'.repeat(10_000)}x${'}'.repeat(10_000)}`;

const LETTERS = 'a'.repeat(20_000);

const REFUSED: readonly Refusal[] = [
  { at: 2, text: '# only\n# comments\n', line: 2, says: 'no build stage', hint: 'FROM python:3.11-slim' },
  { at: 2, text: '', line: 0, says: 'no build stage', hint: 'FROM python:3.11-slim' },
  { at: 2, text: '\uFEFF', line: 0, says: 'no build stage', hint: 'FROM python:3.11-slim' },
  { at: 2, text: 'ARG A=1\n', line: 1, says: 'there is no FROM', hint: 'FROM python:3.11-slim' },
  { at: 2, text: 'RUN a\nFROM b\n', line: 1, says: 'RUN stands before the first FROM', hint: 'above it' },
  { at: 7, text: 'FROM a\nRUN b\0c\n', line: 2, says: 'a NUL byte stands on line 2, column 6' },
  { at: 9, text: `FROM a\nRUN ${'x'.repeat(70_000)}\n`, line: 2, says: 'line 2 is longer than 65535 bytes' },
  { at: 9, text: `FROM a\n${'RUN b\n'.repeat(100_000)}`, line: 50_001, says: 'more than 50000 instructions' },
  { at: 12, text: '# escape=x\nFROM a\n', line: 1, says: '"x" is no escape character' },
  { at: 12, text: '# escape=`\n# escape=`\nFROM a\n', line: 2, says: 'the directive "escape" is given twice' },
  { at: 14, text: 'FROM UPPER\n', line: 1, says: 'UPPER' },
  { at: 14, text: 'FROM b\nFROM a:b:c\n', line: 2, says: 'a:b:c' },
  { at: 14, text: 'FROM x@sha256:abc\n', line: 1, says: 'x@sha256:abc' },
  { at: 14, text: `FROM ${'a'.repeat(300)}\n`, line: 1, says: 'aaa' },
  { at: 14, text: 'FROM pythоn\n', line: 1, says: 'pyth' },
  { at: 15, text: 'FROM a AS b\nCOPY --from=b c d\n', line: 2, says: 'it is the stage itself' },
  { at: 15, text: 'FROM a AS builder\nFROM a\nCOPY --from=3 c d\n', line: 3, says: 'only stages 0 to 1' },
  { at: 17, text: `FROM a\nENV B=${NESTED}\n`, line: 2, says: 'nested too deep' },
  {
    at: 17,
    text: `FROM a\nARG A=0123456789\n${'ARG A=$A$A\n'.repeat(40)}`,
    line: 21,
    says: 'values of variables are too long',
  },
  {
    at: 17,
    text: `FROM a\nENV A=${LETTERS}\nENV B=\${A#${'*a'.repeat(9000)}b}\n`,
    line: 3,
    says: 'pattern is too long',
  },
  { at: 17, text: 'FROM ${A=}\n', line: 1, says: 'the modifier "=" is not known' },
  { at: 19, text: 'FROM a\nENV B\n', line: 2, says: 'ENV needs a name and a value', hint: 'ENV B=value' },
  { at: 19, text: 'FROM a\nENV =b\n', line: 2, says: 'no empty name' },
  { at: 20, text: 'FROM a\nRUN ["a", 1]\n', line: 2, says: 'an array of strings only' },
  { at: 20, text: 'FROM a\nRUN [["a"]]\n', line: 2, says: 'an array of strings only' },
  { at: 20, text: "FROM a\nSHELL ['a']\n", line: 2, says: 'SHELL takes its arguments in the JSON form only' },
  { at: 21, text: 'FROM a\nUSER 4294967296\n', line: 2, says: 'uid out of range' },
  { at: 27, text: 'FROM a\nONBUILD ONBUILD RUN b\n', line: 2, says: 'ONBUILD is not allowed in ONBUILD' },
  { at: 27, text: `FROM a\n${'ONBUILD '.repeat(8000)}RUN b\n`, line: 2, says: 'ONBUILD is not allowed in ONBUILD' },
  { at: 27, text: 'FROM a\nONBUILD FROM b\n', line: 2, says: 'FROM is not allowed in ONBUILD' },
];

describe('a bad Dockerfile', () => {
  test.each(REFUSED.map((row) => [row.at, row.text.slice(0, 50), row] as const))(
    'case %i is refused with its line, and says what to type: %j',
    async (_, __, { text, line, says, hint }) => {
      const { error } = await lint(text, { resolver });
      if (!isEngineError(error)) throw new Error('not refused');
      expect(error.message).toContain(says);
      expect(error.location?.startLine).toBe(line);
      if (hint !== undefined) expect(error.hint).toContain(hint);
    },
  );

  test.each([
    ['FROM a\nRNU b\n', 'Did you mean RUN?'],
    ['FROM a\nRUN b &&\n  curl c\n', 'If it belongs to RUN above, end line 2 with a backslash'],
    ['FROM a # the base\n', 'Put the comment on a line of its own'],
    [
      'FROM a\nCMD --port 80\n',
      'This instruction has no flags; what a program is given is written as JSON: ["--port"]',
    ],
    ['FROM a\nCOPY --form=b c d\n', 'Did you mean --from?'],
    ['FROM a AS builder\nFROM a\nCOPY --from=biulder b c\n', 'Did you mean the stage --from=builder?'],
    ['FROM a\nHEALTHCHECK --intervall=1s CMD b\n', 'Did you mean --interval?'],
    ['FROM --plattform=linux/amd64 a\n', 'Did you mean --platform?'],
  ])('that is a near miss says what was meant: %j', async (text, hint) => {
    const missing: Resolver = {
      resolve: (reference, platform) =>
        reference === 'biulder'
          ? Promise.reject(new EngineError('IMAGE_NOT_FOUND', 'Cannot pull biulder: there is none'))
          : resolver.resolve(reference, platform),
    };
    const { error } = await lint(text, { resolver: missing });
    expect(isEngineError(error) ? error.hint : undefined).toBe(hint);
  });

  test('whose target is a near miss says what was meant', async () => {
    await expect(graphOf('FROM a AS train\n', { target: 'tarin' })).rejects.toMatchObject({
      code: 'TARGET_NOT_FOUND',
      hint: 'Did you mean train?',
    });
  });
});

describe('an odd Dockerfile is read as BuildKit reads it', () => {
  test.each([
    [10, 'FROM a\nRUN b \\', 'RUN b '],
    [10, 'FROM a\nRUN b \\   \n  c\n', 'RUN b   c'],
    [10, 'FROM a\nRUN b \\\n# why\n  c\n', 'RUN b   c'],
    [12, '# unknown=1\nFROM a\nRUN b\n', 'RUN b'],
    [20, "FROM a\nRUN ['b']\n", "RUN ['b']"],
    [20, 'FROM a\nRUN ["b\n', 'RUN ["b'],
    [26, 'FROM a\nLABEL dev.berth.cache=x io.buildkit.x=y\nRUN b\n', 'RUN b'],
  ])('case %i: %j', async (_, text, name) => {
    const graph = await graphOf(text.replaceAll('\n', '\r\n'));
    expect(graph.vertices.at(-1)?.name).toContain(name.trimEnd());
    expect((await graphOf(text)).target).toBe(graph.target);
  });
});

/** Where each case of the catalogue's parts A to D, H and J to M is tested: a file, and words of the test's name in it. */
const COVERED: readonly (readonly [number, string, string])[] = [
  [2, 'engine/bad-inputs.test.ts', 'no build stage'],
  [7, 'engine/dockerfile/parse.test.ts', 'names line and column of a NUL byte'],
  [9, 'engine/dockerfile/parse.test.ts', 'refuses a file of a million instructions'],
  [10, 'engine/bad-inputs.test.ts', 'is read as BuildKit reads it'],
  [12, 'engine/bad-inputs.test.ts', 'is no escape character'],
  [14, 'engine/bad-inputs.test.ts', 'x@sha256:abc'],
  [15, 'engine/graph/refusals.test.ts', 'it comes later, on line 3'],
  [16, 'engine/dockerfile/lint/lint.test.ts', 'ReservedStageName'],
  [17, 'engine/bad-inputs.test.ts', 'nested too deep'],
  [19, 'engine/bad-inputs.test.ts', 'no empty name'],
  [20, 'engine/bad-inputs.test.ts', 'an array of strings only'],
  [21, 'engine/graph/refusals.test.ts', 'uid out of range'],
  [22, '../native/helper/tests/confinement.rs', 'a_working_directory_that_is_none_or_outside_is_refused'],
  [26, 'engine/bad-inputs.test.ts', 'dev.berth.cache=x'],
  [27, 'engine/bad-inputs.test.ts', 'is not allowed in ONBUILD'],
  [32, 'engine/context/ignore.vectors.test.ts', 'dockerignore/ignore-files.json'],
  [33, 'engine/context/context.test.ts', 'never widen the context'],
  [37, 'engine/context/context.test.ts', 'are refused when they are a device, without reading from it'],
  [39, 'engine/context/context.test.ts', 'EACCES'],
  [40, 'engine/context/context.test.ts', 'copies a link that leaves the context as the link it is'],
  [42, 'engine/context/context.test.ts', 'fails when a directory became a link to another one'],
  [43, 'engine/build-file.test.ts', 'is refused as a link out of the context'],
  [44, 'engine/build-file.test.ts', 'is never a FIFO, a device, a folder or a link in a circle'],
  [45, 'engine/context/context.test.ts', 'leaves out FIFOs and sockets with a warning, and never opens them'],
  [46, 'engine/context/context.test.ts', 'fails when a file changed, was replaced or was deleted'],
  [47, 'engine/context/context.test.ts', 'fails when a file changed, was replaced or was deleted'],
  [49, 'engine/context/context.test.ts', 'keeps names that are no UTF-8 apart'],
  [50, 'engine/context/context.test.ts', 'takes names that look like commands as they are'],
  [51, 'engine/context/context.test.ts', 'lists a tree that is a thousand directories deep'],
  [55, 'engine/context/context.test.ts', 'of hard links is that of two files'],
  [56, 'engine/build.test.ts', 'keeps times before 1970 and after 2038'],
  [57, 'engine/context/context.test.ts', 'warns of a token in .git/config when a COPY takes it, once'],
  [57, 'engine/build-mounts.test.ts', "'/conf/app.ini holds the secret"],
  [58, 'engine/context/context.test.ts', 'refuses a root that holds the store, also through a link'],
  [59, 'engine/build-sources.test.ts', '#v1:../../../../etc'],
  [59, 'engine/build-sources.test.ts', '#v1:out/etc'],
  [65, 'engine/build-mounts.test.ts', 'also behind a link to the root'],
  [66, 'engine/build-mounts.test.ts', 'id=../../../x'],
  [66, 'engine/build-mounts.test.ts', 'source=../../x'],
  [67, 'engine/build-mounts.test.ts', 'source=sel'],
  [74, '../native/layer/tests/copy.rs', 'files_are_read_inside_the_root_and_only_regular_ones'],
  [75, '../native/helper/tests/confinement.rs', 'a_linked_dev_and_a_linked_proc_cannot_be_used_against_the_host'],
  [79, '../native/helper/tests/confinement.rs', 'links_of_the_image_lead_nowhere_but_into_the_image'],
  [80, 'engine/graph/copy.test.ts', 'never leaves the root by its destination'],
  [80, 'src/cli/hostile.test.ts', 'a destination that climbs out of the root lands in it'],
  [81, '../native/layer/tests/copy.rs', 'a_directory_does_not_land_behind_a_link_unless_that_is_the_destination'],
  [82, 'engine/context/context.test.ts', 'refuses a pattern that matches nothing, by name'],
  [83, '../native/helper/tests/process.rs', 'an_image_without_layers_and_one_with_500_work'],
  [86, '../native/helper/src/seal.rs', 'sealed'],
  [87, '../native/helper/tests/process.rs', 'a_background_process_that_holds_the_output_cannot_delay_the_end'],
  [88, '../native/helper/tests/process.rs', 'the_upper_holds_what_the_process_wrote_and_no_trace_of_the_mounts'],
  [184, 'src/action/cache/policy.test.ts', 'is trusted by one of'],
  [184, 'src/action/cache/signature.test.ts', 'is good for its text, its entry and its key'],
  [185, 'src/action/cache/archive.test.ts', 'refuses'],
  [186, 'src/action/cache/exchange.test.ts', 'reads what the base branch saved, and nothing of another pull request'],
  [188, 'src/action/cache/exchange.test.ts', 'asks again for an address that has expired, once'],
  [188, 'src/action/cache/exchange.test.ts', 'masks each signed address before it is used'],
  [189, 'src/action/cache/exchange.test.ts', 'leaves a layer out that another job has begun to save'],
  [191, 'src/action/cache/exchange.test.ts', 'says that it is limited, and asks no second time'],
  [195, 'src/action/cache/archive.test.ts', 'stops a bomb of bytes that no header has announced'],
  [196, 'src/action/cache/policy.test.ts', 'is none without a word where the runner offers none'],
  [197, 'engine/solver/solve.test.ts', 'takes no step that stood on an older base, whose tag has moved'],
  [211, 'src/smoke/smoke.test.ts', "'not-ready'"],
  [212, 'src/smoke/smoke.test.ts', 'it exits 0 early'],
  [214, 'src/smoke/smoke.test.ts', 'its headers are a megabyte'],
  [214, 'src/smoke/smoke.test.ts', 'its answer is 20 MB'],
  [215, 'src/smoke/smoke.test.ts', 'its text makes the pattern backtrack'],
  [216, '../native/layer/tests/copy.rs', 'files_are_read_inside_the_root_and_only_regular_ones'],
  [216, 'src/smoke/structure/structure.test.ts', 'a directory is no regular file'],
  [217, 'src/smoke/structure/structure.test.ts', 'head -c 5000000 /dev/zero'],
  [219, 'src/smoke/load.test.ts', 'a request to the machine or its metadata'],
  [219, '../native/net/tests/bridge.rs', '169.254.169.254'],
  [222, 'src/smoke/load.test.ts', 'masks what a variable in plain text holds'],
  [223, 'src/action/inputs.test.ts', 'are values and never words of a shell'],
  [227, 'src/action/inputs.test.ts', 'refuse a secret in %s, raw or encoded, naming the place and not the value'],
  [228, 'src/action/inputs.test.ts', 'stop a push with an empty password before the build, and say why'],
  [229, 'src/action/inputs.test.ts', 'cut the blanks around a password and no byte within it'],
  [231, 'src/action/paths.test.ts', 'leads out and is refused by name'],
  [234, 'engine/native/session.test.ts', 'gives the helper an empty environment'],
  [237, 'src/action/secrets.test.ts', 'the password of a proxy is known as it is written and as it is sent'],
  [238, 'src/action/scenarios.test.ts', '{ debug: true }'],
  [239, 'src/action/scenarios.test.ts', 'what a RUN and a container print is shown and never obeyed'],
  [246, 'src/cli/hostile.test.ts', 'a full disk is named, fails the step alone and leaves the store whole'],
  [248, '../native/helper/tests/process.rs', 'a_background_process_that_holds_the_output_cannot_delay_the_end'],
  [250, 'src/cli/hostile.test.ts', '/proc/1/mem'],
  [250, '../native/helper/tests/confinement.rs', 'the_helper_cannot_be_reached_as_the_program_of_process_1'],
  [253, '../native/helper/tests/confinement.rs', '/proc/sysrq-trigger'],
  [254, '../native/helper/tests/confinement.rs', 'masked_paths_are_empty_and_read_only_ones_refuse'],
  [255, '../native/helper/tests/confinement.rs', 'devices_are_the_harmless_ones_and_no_other_can_be_made'],
  [256, '../native/helper/tests/confinement.rs', 'only_the_three_standard_descriptors_are_open'],
  [258, '../native/net/tests/bridge.rs', '169.254.169.254'],
  [258, '../native/helper/tests/confinement.rs', 'without_a_network_there_is_loopback_alone'],
  [260, 'src/cli/hostile.test.ts', 'and a terminal'],
  [261, 'src/cli/hostile.test.ts', 'a program cannot raise its limits'],
  [262, '../native/layer/tests/diff.rs', 'all_names_of_a_file_stay_together'],
  [262, 'src/cli/hostile.test.ts', 'five thousand files, a path near the longest and crossed hard links'],
  [263, 'src/cli/hostile.test.ts', 'change the clock or the host name'],
  [265, 'engine/native/isolation.test.ts', 'names each switch when no rung holds'],
  [265, 'engine/native/isolation.test.ts', 'names the file that has no range for this user'],
  [268, 'engine/store/space.test.ts', 'too little is an error with both figures, before anything is fetched'],
  [270, 'src/cli/hostile.test.ts', 'the digest does not depend on the caller'],
  [273, 'engine/store/layout.test.ts', 'makes a private store'],
];

describe('the catalogue of bad inputs', () => {
  test.each(COVERED)('case %i is tested in %s: %s', (_, file, words) => {
    const path = join(import.meta.dirname, '..', file);
    expect(existsSync(path)).toBe(true);
    expect(readFileSync(path, 'utf8')).toContain(words);
  });
});
