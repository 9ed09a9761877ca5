// The mark and the word: a signal that goes from one node to another and leaves a third in light.

export function Logo() {
  return (
    <span className="logo">
      <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true">
        <rect width="32" height="32" rx="8" className="logo-plate" />
        <path d="M9 10c8 0 6 12 14 12" className="logo-wire" />
        <circle cx="9" cy="10" r="3.5" className="logo-node" />
        <circle cx="23" cy="22" r="3.5" className="logo-node" />
        <circle cx="22.5" cy="10" r="2.5" className="logo-spark" />
      </svg>
      <span className="logo-word">
        Latent<b>graph</b>
      </span>
    </span>
  );
}
