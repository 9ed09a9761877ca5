// Holds where a problem is shown.

import { expect, test } from 'vitest';
import { groupProblems, type Problem } from './problems.ts';

const problem = (fields: Partial<Problem>): Problem => ({
  code: 'x',
  message: '',
  node: null,
  class_type: null,
  input: null,
  severity: 'error',
  ...fields,
});

test('problems are found by node and input, errors before warnings', () => {
  const warning = problem({ node: '1', input: 'steps', severity: 'warning', message: 'odd' });
  const error = problem({ node: '1', input: 'steps', message: 'too many' });
  const whole = problem({ node: '1', message: 'alone' });
  const grouped = groupProblems([warning, error, whole, problem({ code: 'no_output_node' })]);
  expect(Object.keys(grouped)).toEqual(['1']);
  expect(grouped['1']?.byInput['steps']).toBe(error);
  expect(grouped['1']?.all).toEqual([error, whole, warning]);
});
