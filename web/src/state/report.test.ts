// Holds that a failure nobody waits for is told, once and in words.

import { beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../api/client.ts';
import { report, reportUnhandled } from './report.ts';
import { useUi } from './ui.ts';

const settled = () => new Promise((resolve) => setTimeout(resolve));
const told = () => useUi.getState().toasts.map(({ kind, text, detail }) => `${kind}: ${text}: ${detail}`);

beforeEach(() => {
  useUi.setState(useUi.getInitialState());
  vi.spyOn(console, 'error')
    .mockClear()
    .mockImplementation(() => undefined);
});

test('what was wanted is the title, and what the server said the text', async () => {
  report(Promise.reject(new ApiError(500, 'internal_error', 'Look in the log.')), 'No older jobs');
  report(Promise.resolve(1));
  await settled();
  expect(told()).toEqual(['error: No older jobs: Look in the log.']);
  expect(console.error).not.toHaveBeenCalled();
});

test('a mistake of the page is in the console as well', async () => {
  const error = new TypeError('x is undefined');
  report(Promise.reject(error));
  await settled();
  expect(told()).toEqual(['error: Something did not work: x is undefined']);
  expect(console.error).toHaveBeenCalledWith(error);
});

test('that the server is away is told by the status line, but for what a person asked for', async () => {
  const away = new ApiError(0, 'unreachable', 'Is it still running?');
  report(Promise.reject(away));
  await settled();
  expect(told()).toEqual([]);
  report(Promise.reject(away), 'No older jobs');
  await settled();
  expect(told()).toHaveLength(1);
});

test('a rejection that nobody handles is told too', () => {
  const page = new EventTarget();
  const stop = reportUnhandled(page as Window);
  const rejection = () => Object.assign(new Event('unhandledrejection'), { reason: new Error('lost') });
  page.dispatchEvent(rejection());
  stop();
  page.dispatchEvent(rejection());
  expect(told()).toEqual(['error: Something did not work: lost']);
});
