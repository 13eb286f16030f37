import { type InputHTMLAttributes, type KeyboardEvent, useState } from 'react'

interface Saved {
  readonly value: string
  /** Called when the person leaves the field or presses Enter, if the value is another. */
  readonly onSave: (value: string) => void
}

/** What is being typed, over the value of the server: it shows what others write unless one is writing here. */
function useDraft({ value, onSave }: Saved) {
  const [draft, setDraft] = useState<string>()
  return {
    shown: draft ?? value,
    change: setDraft,
    save: (): void => {
      if (draft !== undefined && draft !== value) onSave(draft)
      setDraft(undefined)
    },
    giveUp: (): void => setDraft(undefined),
  }
}

type SavedInputProps = Saved & Omit<InputHTMLAttributes<HTMLInputElement>, 'value' | 'onChange'>

export function SavedInput({ value, onSave, ...rest }: SavedInputProps) {
  const { shown, change, save, giveUp } = useDraft({ value, onSave })
  return (
    <input
      {...rest}
      value={shown}
      onChange={(event) => change(event.target.value)}
      onBlur={save}
      onKeyDown={(event) => {
        if (event.key === 'Enter') save()
        else leaveOnEscape(event, shown !== value, giveUp)
      }}
    />
  )
}

interface SavedTextProps extends Saved {
  readonly label: string
  readonly className?: string
  readonly rows: number
  readonly maxLength: number
  readonly readOnly: boolean
}

/** Text of several lines; with one row it is one line, which grows as long as it must. */
export function SavedText({ label, className = '', rows, value, onSave, ...rest }: SavedTextProps) {
  const { shown, change, save, giveUp } = useDraft({ value, onSave })
  return (
    <label className={`field ${className}`}>
      <span>{label}</span>
      <textarea
        {...rest}
        rows={rows}
        value={shown}
        onChange={(event) => change(rows === 1 ? event.target.value.replace(/\n/g, ' ') : event.target.value)}
        onBlur={save}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (rows === 1 || event.ctrlKey || event.metaKey)) {
            event.preventDefault()
            save()
          } else leaveOnEscape(event, shown !== value, giveUp)
        }}
      />
    </label>
  )
}

/** The first Escape gives up what was typed, the next one closes what is around. */
function leaveOnEscape(event: KeyboardEvent, typed: boolean, giveUp: () => void): void {
  if (event.key !== 'Escape' || !typed) return
  event.stopPropagation()
  giveUp()
}
