// Ready-made workflows, with a picture of what each makes.

import { Workflow } from 'lucide-react';
import { useEffect, useState } from 'react';
import { ApiError, listTemplates, type Template } from '../api/client.ts';
import { t } from '../i18n/index.ts';
import { openTemplate } from '../state/files.ts';
import { useJobs } from '../state/jobs.ts';
import { report } from '../state/report.ts';
import { Thumbnail } from '../ui/Thumbnail.tsx';

const BLANK = (
  <span className="template-blank">
    <Workflow size={24} aria-hidden="true" />
  </span>
);

export function Templates() {
  const live = useJobs((state) => state.connection === 'live');
  const [templates, setTemplates] = useState<readonly Template[] | null>(null);
  const [failed, setFailed] = useState('');
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked again when the connection comes back
  useEffect(() => {
    const refused = (error: unknown) => {
      if (!(error instanceof ApiError)) throw error;
      setFailed(error.message);
    };
    const show = (found: readonly Template[]) => {
      setTemplates(found);
      setFailed('');
    };
    report(listTemplates().then(show, refused));
  }, [live]);
  return (
    <div className="panel-body templates">
      {failed && (
        <p className="panel-empty">
          {t('templates.failed')} {failed}
        </p>
      )}
      {templates?.length === 0 && <p className="panel-empty">{t('templates.none')}</p>}
      {templates?.map((template) => (
        <button
          key={template.name}
          type="button"
          className="template"
          data-testid={`template-${template.name}`}
          onClick={() => report(openTemplate(template.name, template.title))}
        >
          {template.thumbnail_url ? <Thumbnail src={template.thumbnail_url} alt="" blank={BLANK} /> : BLANK}
          <span className="template-text">
            <b>{template.title}</b>
            <span>{template.description}</span>
          </span>
        </button>
      ))}
    </div>
  );
}
