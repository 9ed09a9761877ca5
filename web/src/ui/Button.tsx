// Buttons: one with a label, one with an icon only (its label is its tooltip and its accessible name).

import type { ButtonHTMLAttributes, ReactNode, Ref } from 'react';
import { cx } from './cx.ts';
import { Tip } from './Tip.tsx';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: 'plain' | 'primary' | 'soft' | 'danger';
  icon?: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ look = 'plain', icon, className, children, ...rest }: ButtonProps) {
  return (
    <button type="button" {...rest} className={cx('button', `button-${look}`, className)}>
      {icon}
      {children}
    </button>
  );
}

interface IconButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, 'aria-label'> {
  label: string;
  keys?: string;
  side?: 'top' | 'bottom' | 'left' | 'right';
  active?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({ label, keys, side = 'bottom', active, className, ...rest }: IconButtonProps) {
  return (
    <Tip text={label} keys={keys} side={side}>
      <button
        type="button"
        {...rest}
        aria-label={label}
        {...(active === undefined ? {} : { 'aria-pressed': active })}
        className={cx('icon-button', active && 'is-active', className)}
      />
    </Tip>
  );
}
