// The link that is being drawn, if any: ports colour themselves by it, without following the pointer.

import { create } from 'zustand';
import type { LooseEnd } from '../core/types.ts';

export const useConnecting = create<{ end: LooseEnd | null }>()(() => ({ end: null }));
