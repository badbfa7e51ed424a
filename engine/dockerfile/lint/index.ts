/** Build checks. Source: spec/engine.md 1c; data/lint. */
export { createFindings, type Findings } from './findings.ts';
export { parseCheckOptions, NO_CHECK_OPTIONS, type CheckOptions } from './options.ts';
export { ruleOf, RULES, urlOf, type LintRule, type RuleName } from './rules.ts';
export { selectFindings } from './select.ts';
export { lintStage, wordOf } from './stage.ts';
