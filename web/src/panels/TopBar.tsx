// The bar at the top: what is open, undo and redo, the server's state, and Run.

import { FilePlus2, FolderOpen, Images, Keyboard, Menu, Redo2, Save, Undo2 } from 'lucide-react';
import { t } from '../i18n/index.ts';
import { chooseFile, newDocument, saveFile } from '../state/files.ts';
import { useGraph } from '../state/graph.ts';
import { useSettings } from '../state/settings.ts';
import { useUi } from '../state/ui.ts';
import { IconButton } from '../ui/Button.tsx';
import { MOD, SHIFT } from '../ui/keys.ts';
import { Logo } from '../ui/Logo.tsx';
import { Dropdown } from '../ui/Menu.tsx';
import { RunControls } from './RunControls.tsx';
import { RunProgress } from './RunProgress.tsx';
import { Status } from './Status.tsx';
import { ThemeToggle } from './ThemeToggle.tsx';

export function TopBar() {
  const gallery = useUi((state) => state.gallery);
  return (
    <header className="topbar">
      <div className="topbar-left">
        <Logo />
        <FileMenu />
        <DocumentName />
        <HistoryButtons />
      </div>
      <div className="topbar-right">
        <Status />
        <RunControls />
        <span className="topbar-line" />
        <ThemeToggle />
        <IconButton label={t('top.shortcuts')} keys="?" onClick={() => useUi.setState({ shortcuts: true })}>
          <Keyboard size={18} />
        </IconButton>
        <IconButton
          label={t('top.gallery')}
          keys="G"
          active={gallery}
          data-testid="gallery-toggle"
          onClick={() => useUi.setState({ gallery: !gallery })}
        >
          <Images size={18} />
        </IconButton>
      </div>
      <RunProgress />
    </header>
  );
}

function FileMenu() {
  const snap = useSettings((state) => state.snap);
  return (
    <div className="topbar-group">
      <Dropdown
        trigger={
          <button type="button" className="icon-button" aria-label={t('top.menu')}>
            <Menu size={18} />
          </button>
        }
        entries={[
          { label: t('top.new'), icon: <FilePlus2 size={14} />, testId: 'new-button', onSelect: newDocument },
          { label: t('top.open'), icon: <FolderOpen size={14} />, keys: `${MOD}O`, onSelect: chooseFile },
          { label: t('top.save'), icon: <Save size={14} />, keys: `${MOD}S`, onSelect: saveFile },
          'separator',
          { label: t('top.snap'), checked: snap, onSelect: () => useSettings.setState({ snap: !snap }) },
        ]}
      />
      <IconButton label={t('top.open')} keys={`${MOD}O`} data-testid="open-button" onClick={chooseFile}>
        <FolderOpen size={18} />
      </IconButton>
      <IconButton label={t('top.save')} keys={`${MOD}S`} data-testid="save-button" onClick={saveFile}>
        <Save size={18} />
      </IconButton>
    </div>
  );
}

function DocumentName() {
  const name = useGraph((state) => state.name);
  const rename = useGraph((state) => state.rename);
  return (
    <input
      className="document-name"
      value={name}
      placeholder={t('top.untitled')}
      aria-label={t('top.rename')}
      spellCheck={false}
      onChange={(event) => rename(event.target.value)}
      onKeyDown={(event) => event.key === 'Enter' && !event.ctrlKey && event.currentTarget.blur()}
    />
  );
}

function HistoryButtons() {
  const canUndo = useGraph((state) => state.history.past.length > 0);
  const canRedo = useGraph((state) => state.history.future.length > 0);
  const undo = useGraph((state) => state.undo);
  const redo = useGraph((state) => state.redo);
  return (
    <div className="topbar-group">
      <IconButton
        label={t('top.undo')}
        keys={`${MOD}Z`}
        disabled={!canUndo}
        data-testid="undo-button"
        onClick={undo}
      >
        <Undo2 size={18} />
      </IconButton>
      <IconButton
        label={t('top.redo')}
        keys={`${MOD}${SHIFT}Z`}
        disabled={!canRedo}
        data-testid="redo-button"
        onClick={redo}
      >
        <Redo2 size={18} />
      </IconButton>
    </div>
  );
}
