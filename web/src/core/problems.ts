// What is wrong with a workflow, sorted to where it is shown: on an input, on a node, or in the list only.

export interface Problem {
  code: string;
  message: string;
  node: string | null;
  class_type: string | null;
  input: string | null;
  severity: 'error' | 'warning';
}

export interface NodeProblems {
  readonly all: readonly Problem[];
  readonly byInput: Readonly<Record<string, Problem>>;
}

/** Problems by node id; within a node the first of each input, errors before warnings. */
export function groupProblems(problems: readonly Problem[]): Record<string, NodeProblems> {
  const grouped: Record<string, { all: Problem[]; byInput: Record<string, Problem> }> = {};
  const order = [...problems].sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'));
  for (const problem of order) {
    if (problem.node === null) continue;
    const entry = grouped[problem.node] ?? { all: [], byInput: {} };
    grouped[problem.node] = entry;
    entry.all.push(problem);
    if (problem.input !== null) entry.byInput[problem.input] ??= problem;
  }
  return grouped;
}
