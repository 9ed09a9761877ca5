// Builds the editor into dist/ as one self-contained page, and proxies the API to a running server in development.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const server = process.env['LATENTGRAPH_SERVER'] ?? 'http://127.0.0.1:8188';

export default defineConfig({
  plugins: [react()],
  base: './',
  build: { target: 'es2022', chunkSizeWarningLimit: 900 },
  server: { proxy: { '/api': { target: server, ws: true }, '/healthz': server } },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});
