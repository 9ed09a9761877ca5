// Hands a text to the browser as a file to keep.

/** The browser reads the file after the click has returned. */
const LIFETIME_MS = 10_000;

export function download(text: string, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), LIFETIME_MS);
}
