// An image from the input folder: its thumbnail, a picker of what was uploaded, and upload by button or by dropping.

import { ImageOff, ImagePlus, Upload } from 'lucide-react';
import { Popover } from 'radix-ui';
import { type DragEvent, useEffect, useState } from 'react';
import { ApiError, type InputImage, listInputs, thumbnailUrl, uploadImage } from '../../api/client.ts';
import { t } from '../../i18n/index.ts';
import { loadCatalogue } from '../../state/catalogue.ts';
import { report } from '../../state/report.ts';
import { toast } from '../../state/ui.ts';
import { Button } from '../../ui/Button.tsx';
import { cx } from '../../ui/cx.ts';
import { Thumbnail } from '../../ui/Thumbnail.tsx';
import type { WidgetProps } from './InputWidget.tsx';

async function upload(file: File, onChange: (name: string) => void): Promise<void> {
  try {
    const image = await uploadImage(file);
    onChange(image.name);
    await loadCatalogue();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast('error', t('image.uploadFailed'), error.message);
  }
}

function chooseUpload(onFile: (file: File) => void): void {
  const picker = document.createElement('input');
  picker.type = 'file';
  picker.accept = 'image/*';
  picker.onchange = () => {
    const file = picker.files?.[0];
    if (file) onFile(file);
  };
  picker.click();
}

export function ImageWidget({ testId, label, value, onChange }: WidgetProps<string>) {
  const [open, setOpen] = useState(false);
  const [over, setOver] = useState(false);
  const take = (file: File) => report(upload(file, onChange));
  const onDrop = (event: DragEvent) => {
    setOver(false);
    const file = event.dataTransfer.files[0];
    if (!file?.type.startsWith('image/')) return;
    event.preventDefault();
    event.stopPropagation();
    take(file);
  };
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger asChild>
        <button
          type="button"
          className={cx('image-field nodrag', over && 'is-over', !value && 'is-empty')}
          aria-label={`${label}: ${value || t('image.choose')}`}
          data-testid={testId}
          data-value={value}
          data-image-drop
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={onDrop}
        >
          {value ? (
            <>
              <Thumbnail
                src={thumbnailUrl('input', value, 512)}
                alt=""
                blank={<ImageOff className="image-broken" size={20} />}
              />
              <span className="image-name">{value}</span>
            </>
          ) : (
            <span className="image-empty">
              <ImagePlus size={20} />
              {t('image.drop')}
            </span>
          )}
        </button>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content
          className="popover image-popover"
          side="right"
          align="start"
          sideOffset={8}
          collisionPadding={8}
        >
          <InputLibrary
            value={value}
            onChoose={(name) => {
              onChange(name);
              setOpen(false);
            }}
            onUpload={() =>
              chooseUpload((file) => {
                setOpen(false);
                take(file);
              })
            }
          />
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

interface LibraryProps {
  value: string;
  onChoose: (name: string) => void;
  onUpload: () => void;
}

function InputLibrary({ value, onChoose, onUpload }: LibraryProps) {
  const [images, setImages] = useState<readonly InputImage[] | null>(null);
  useEffect(() => {
    let current = true;
    report(
      listInputs().then((found) => current && setImages(found)),
      t('image.listFailed'),
    );
    return () => {
      current = false;
    };
  }, []);
  return (
    <>
      <Button look="soft" icon={<Upload size={14} />} onClick={onUpload}>
        {t('image.upload')}
      </Button>
      {images?.length === 0 && <p className="choices-none">{t('image.none')}</p>}
      <div className="image-grid">
        {images?.map((image) => (
          <button
            key={image.name}
            type="button"
            className={cx('image-choice', image.name === value && 'is-active')}
            title={image.name}
            onClick={() => onChoose(image.name)}
          >
            <Thumbnail src={image.thumbnail_url} alt={image.name} blank={<ImageOff size={20} />} />
          </button>
        ))}
      </div>
    </>
  );
}
