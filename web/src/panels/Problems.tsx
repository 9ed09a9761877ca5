// Everything that keeps the workflow from running, in one list, each line leading to its node.

import { useReactFlow } from '@xyflow/react';
import { ArrowRight, CircleAlert, TriangleAlert, X } from 'lucide-react';
import { findSpec } from '../core/catalogue.ts';
import type { Problem } from '../core/problems.ts';
import { t } from '../i18n/index.ts';
import { catalogueNow } from '../state/catalogue.ts';
import { useGraph } from '../state/graph.ts';
import { useJobs } from '../state/jobs.ts';
import { report } from '../state/report.ts';
import { useUi } from '../state/ui.ts';
import { IconButton } from '../ui/Button.tsx';

export function Problems() {
  const problems = useJobs((state) => state.problems);
  const open = useUi((state) => state.problemsOpen);
  if (problems.length === 0) return null;
  const serious = problems.some((problem) => problem.severity === 'error');
  const title = t(serious ? 'problems.title' : 'problems.warnings', { count: problems.length });
  if (!open)
    return (
      <button
        type="button"
        className={serious ? 'problems-chip is-error' : 'problems-chip'}
        title={t('problems.open')}
        onClick={() => useUi.setState({ problemsOpen: true })}
      >
        <CircleAlert size={14} aria-hidden="true" />
        {title}
      </button>
    );
  return (
    <section className="problems" data-testid="problem-list" aria-label={title}>
      <header className="panel-header">
        <h2>{title}</h2>
        <IconButton
          label={t('problems.dismiss')}
          side="top"
          onClick={() => useUi.setState({ problemsOpen: false })}
        >
          <X size={16} />
        </IconButton>
      </header>
      <ul>
        {problems.map((problem) => (
          <Line
            key={`${problem.node}/${problem.input}/${problem.code}/${problem.message}`}
            problem={problem}
          />
        ))}
      </ul>
    </section>
  );
}

function Line({ problem }: { problem: Problem }) {
  const flow = useReactFlow();
  const node = useGraph((state) => (problem.node ? state.doc.nodes[problem.node] : undefined));
  const title = node
    ? (node.title ?? findSpec(catalogueNow(), node.classType)?.title ?? node.classType)
    : problem.class_type;
  const go = () => {
    if (!node) return;
    useGraph.getState().select([node.id]);
    report(flow.fitView({ nodes: [{ id: node.id }], padding: 0.4, maxZoom: 1, duration: 300 }));
  };
  const Icon = problem.severity === 'error' ? CircleAlert : TriangleAlert;
  return (
    <li className={`is-${problem.severity}`}>
      <Icon size={16} aria-hidden="true" />
      <span className="problem-text">
        {title && (
          <b>
            {title}
            {problem.input && ` · ${problem.input.replaceAll('_', ' ')}`}
          </b>
        )}
        {problem.message}
      </span>
      {node && (
        <button type="button" className="problem-go" onClick={go}>
          {t('problems.goTo')} <ArrowRight size={12} aria-hidden="true" />
        </button>
      )}
    </li>
  );
}
