// Short messages in the corner. They go by themselves, errors later than others; what asks for a decision stays.

import { CircleAlert, CircleCheck, Info, X } from 'lucide-react';
import { Toast } from 'radix-ui';
import { t } from '../i18n/index.ts';
import { dismissToast, useUi } from '../state/ui.ts';
import { Button } from './Button.tsx';

const SECONDS = { info: 4, success: 4, error: 12 };
const ICONS = { info: Info, success: CircleCheck, error: CircleAlert };

export function Toasts() {
  const toasts = useUi((state) => state.toasts);
  return (
    <Toast.Provider swipeDirection="right">
      {toasts.map((toast) => {
        const Icon = ICONS[toast.kind];
        return (
          <Toast.Root
            key={toast.id}
            className={`toast toast-${toast.kind}`}
            data-testid="toast"
            duration={toast.action ? Number.POSITIVE_INFINITY : SECONDS[toast.kind] * 1000}
            onOpenChange={(open) => open || dismissToast(toast.id)}
          >
            <Icon size={18} className="toast-icon" aria-hidden="true" />
            <div className="toast-text">
              <Toast.Title className="toast-title">{toast.text}</Toast.Title>
              {toast.detail && <Toast.Description className="toast-detail">{toast.detail}</Toast.Description>}
              {toast.action && (
                <Toast.Action asChild altText={toast.action.label}>
                  <Button look="soft" onClick={toast.action.run}>
                    {toast.action.label}
                  </Button>
                </Toast.Action>
              )}
            </div>
            <Toast.Close className="icon-button" aria-label={t('common.close')}>
              <X size={14} />
            </Toast.Close>
          </Toast.Root>
        );
      })}
      <Toast.Viewport className="toasts" />
    </Toast.Provider>
  );
}
