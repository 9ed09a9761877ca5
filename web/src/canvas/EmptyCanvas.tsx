// What an empty canvas says: how to begin.

import { t } from '../i18n/index.ts';
import { useCatalogue } from '../state/catalogue.ts';
import { useGraph } from '../state/graph.ts';
import { useUi } from '../state/ui.ts';
import { Button } from '../ui/Button.tsx';

export function EmptyCanvas() {
  const empty = useGraph((state) => state.epoch > 0 && state.nodes.length === 0);
  const ready = useCatalogue((state) => state.ready);
  if (!empty || !ready) return null;
  return (
    <div className="empty-canvas">
      <h2>{t('canvas.empty')}</h2>
      <p>{t('canvas.emptyHelp')}</p>
      <Button look="soft" onClick={() => useUi.setState({ left: 'templates' })}>
        {t('canvas.browse')}
      </Button>
    </div>
  );
}
