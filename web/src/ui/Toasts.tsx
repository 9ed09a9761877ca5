// Short messages in the corner. Errors stay until closed; the rest go by themselves.

import { CircleAlert, CircleCheck, Info, X } from 'lucide-react';
import { Toast } from 'radix-ui';
import { t } from '../i18n/index.ts';
import { dismissToast, useUi } from '../state/ui.ts';

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
            duration={toast.kind === 'error' ? 12_000 : 4_000}
            onOpenChange={(open) => open || dismissToast(toast.id)}
          >
            <Icon size={18} className="toast-icon" aria-hidden="true" />
            <div className="toast-text">
              <Toast.Title className="toast-title">{toast.text}</Toast.Title>
              {toast.detail && <Toast.Description className="toast-detail">{toast.detail}</Toast.Description>}
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
