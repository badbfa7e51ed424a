import tseslint from 'typescript-eslint';

const noPrint = { 'no-console': 'error' };
const engineOnly = {
  'no-restricted-properties': [
    'error',
    { object: 'process', property: 'env', message: 'The engine reads no environment: take it as an option.' },
    { object: 'process', property: 'stdout', message: 'The engine never prints: emit an event.' },
    { object: 'process', property: 'stderr', message: 'The engine never prints: emit an event.' },
  ],
};

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'native/', 'engine/native/protocol.ts', 'build/', '.demo/'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true, allowThrowingAny: true }],
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true } }],
      eqeqeq: ['error', 'always'],
      'prefer-const': 'error',
    },
  },
  { files: ['engine/**/*.ts'], rules: { ...noPrint, ...engineOnly } },
  { files: ['__tests__/**/*.ts'], rules: { '@typescript-eslint/explicit-module-boundary-types': 'off' } },
);
