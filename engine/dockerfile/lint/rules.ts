/** A build check: what it is called, what it says and where it is explained. Names and texts are BuildKit's, so that users find them. */
export interface LintRule {
  readonly description: string;
  /** Last part of the page's address; undefined where there is no page. */
  readonly page?: string;
  /** Off unless it is asked for by `# check=experimental=`. */
  readonly isExperimental?: true;
  /** `%s` stands for the next argument, `%q` for it in double quotes. */
  readonly message: string;
  /** Behind the message when one argument more is given. */
  readonly suggestion?: string;
}

/** Every rule, in BuildKit's order. Source: docs.docker.com/reference/build-checks; data/lint. */
export const RULES = {
  StageNameCasing: {
    description: 'Stage names should be lowercase',
    page: 'stage-name-casing',
    message: "Stage name '%s' should be lowercase",
  },
  FromAsCasing: {
    description: "The 'as' keyword should match the case of the 'from' keyword",
    page: 'from-as-casing',
    message: "'%s' and '%s' keywords' casing do not match",
  },
  NoEmptyContinuation: {
    description: 'Empty continuation lines will become errors in a future release',
    page: 'no-empty-continuation',
    message: 'Empty continuation line',
  },
  ConsistentInstructionCasing: {
    description: 'All commands within the Dockerfile should use the same casing (either upper or lower)',
    page: 'consistent-instruction-casing',
    message: "Command '%s' should match the case of the command majority (%s)",
  },
  DuplicateStageName: {
    description: 'Stage names should be unique',
    page: 'duplicate-stage-name',
    message: 'Duplicate stage name %q, stage names should be unique',
  },
  ReservedStageName: {
    description: 'Reserved words should not be used as stage names',
    page: 'reserved-stage-name',
    message: 'Stage name should not use the same name as reserved stage %q',
  },
  JSONArgsRecommended: {
    description: 'JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals',
    page: 'json-args-recommended',
    message: 'JSON arguments recommended for %s to prevent unintended behavior related to OS signals',
  },
  MaintainerDeprecated: {
    description: 'The MAINTAINER instruction is deprecated, use a label instead to define an image author',
    page: 'maintainer-deprecated',
    message: 'Maintainer instruction is deprecated in favor of using label',
  },
  UndefinedArgInFrom: {
    description: 'FROM command must use declared ARGs',
    page: 'undefined-arg-in-from',
    message: "FROM argument '%s' is not declared",
    suggestion: ' (did you mean %s?)',
  },
  WorkdirRelativePath: {
    description:
      'Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes',
    page: 'workdir-relative-path',
    message: 'Relative workdir %q can have unexpected results if the base image changes',
  },
  UndefinedVar: {
    description: 'Variables should be defined before their use',
    page: 'undefined-var',
    message: "Usage of undefined variable '$%s'",
    suggestion: ' (did you mean $%s?)',
  },
  MultipleInstructionsDisallowed: {
    description: 'Multiple instructions of the same type should not be used in the same stage',
    page: 'multiple-instructions-disallowed',
    message: 'Multiple %s instructions should not be used in the same stage because only the last one will be used',
  },
  LegacyKeyValueFormat: {
    description: 'Legacy key/value format with whitespace separator should not be used',
    page: 'legacy-key-value-format',
    message: '"%s key=value" should be used instead of legacy "%s key value" format',
  },
  InvalidBaseImagePlatform: {
    description: 'Base image platform does not match expected target platform',
    message: 'Base image %s was pulled with platform %q, expected %q for current build',
  },
  RedundantTargetPlatform: {
    description: 'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
    page: 'redundant-target-platform',
    message: 'Setting platform to predefined %s in FROM is redundant as this is the default behavior',
  },
  SecretsUsedInArgOrEnv: {
    description: 'Sensitive data should not be used in the ARG or ENV commands',
    page: 'secrets-used-in-arg-or-env',
    message: 'Do not use ARG or ENV instructions for sensitive data (%s %q)',
  },
  InvalidDefaultArgInFrom: {
    description: 'Default value for global ARG results in an empty or invalid base image name',
    page: 'invalid-default-arg-in-from',
    message: 'Default value for ARG %s results in empty or invalid base image name',
  },
  FromPlatformFlagConstDisallowed: {
    description: 'FROM --platform flag should not use a constant value',
    page: 'from-platform-flag-const-disallowed',
    message: 'FROM --platform flag should not use constant value %q',
  },
  CopyIgnoredFile: {
    description: 'Attempting to Copy file that is excluded by .dockerignore',
    page: 'copy-ignored-file',
    message: 'Attempting to %s file %q that is excluded by .dockerignore',
  },
  InvalidDefinitionDescription: {
    description:
      'Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.',
    page: 'invalid-definition-description',
    isExperimental: true,
    message: 'Comment for %s should follow the format: `# %s <description>`',
  },
  ExposeProtoCasing: {
    description: 'Protocol in EXPOSE instruction should be lowercase',
    page: 'expose-proto-casing',
    message: "Defined protocol '%s' in EXPOSE instruction should be lowercase",
  },
  ExposeInvalidFormat: {
    description:
      'IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release',
    page: 'expose-invalid-format',
    message: "EXPOSE instruction should not define an IP address or host-port mapping, found '%s'",
  },
} as const satisfies Readonly<Record<string, LintRule>>;

/** Name of a rule. */
export type RuleName = keyof typeof RULES;

/** A rule by its name; undefined when there is none. */
export function ruleOf(name: string): LintRule | undefined {
  return isRule(name) ? RULES[name] : undefined;
}

/** Where a rule is explained; empty without a page. */
export function urlOf({ page }: LintRule): string {
  return page === undefined ? '' : `https://docs.docker.com/go/dockerfile/rule/${page}/`;
}

function isRule(name: string): name is RuleName {
  return Object.hasOwn(RULES, name);
}
