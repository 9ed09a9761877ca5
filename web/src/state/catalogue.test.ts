// Holds how long the nodes are asked for.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, getNodes } from '../api/client.ts';
import { loadCatalogue, useCatalogue } from './catalogue.ts';

vi.mock('../api/client.ts', async (original) => ({
  ...(await original<typeof import('../api/client.ts')>()),
  getNodes: vi.fn(),
}));

const asked = vi.mocked(getNodes);
const found = { specs: [], widening: {}, packs: [] };

beforeEach(() => {
  vi.useFakeTimers();
  asked.mockReset();
  useCatalogue.setState(useCatalogue.getInitialState());
});

afterEach(() => {
  vi.useRealTimers();
});

test('while the engine starts it is asked again, once for all who wait', async () => {
  asked.mockRejectedValueOnce(new ApiError(503, 'engine_not_ready', 'Wait.', [], 1)).mockResolvedValue(found);
  const waiting = [loadCatalogue(), loadCatalogue()];
  await vi.advanceTimersByTimeAsync(1000);
  await Promise.all(waiting);
  expect(asked).toHaveBeenCalledTimes(2);
  expect(useCatalogue.getState()).toMatchObject({ ready: true, loading: null });
});

test('an engine that cannot start is not asked again and again', async () => {
  asked.mockRejectedValue(new ApiError(503, 'engine_failed', 'No such device.'));
  await loadCatalogue();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveBeenCalledOnce();
  expect(useCatalogue.getState().ready).toBe(false);
  asked.mockResolvedValue(found);
  await loadCatalogue();
  expect(useCatalogue.getState().ready).toBe(true);
});

test('a server that cannot be reached is a failure, not a wait without end', async () => {
  asked.mockRejectedValue(new ApiError(0, 'unreachable', 'Gone.'));
  await expect(loadCatalogue()).rejects.toMatchObject({ code: 'unreachable' });
  expect(useCatalogue.getState().loading).toBeNull();
});
