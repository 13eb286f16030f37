import { createClient } from '@rtapi/client'
import type { api } from '../src/main.ts'

const client = createClient<typeof api>({ url: '/rt' })
const list = document.querySelector('ul')
const form = document.querySelector('form')

client.comments.live({ where: { topicId: 7 }, order: { id: 'desc' }, limit: 50 }).subscribe((rows) => {
  list?.replaceChildren(
    ...rows.map(({ text }) => {
      const item = document.createElement('li')
      item.textContent = text
      return item
    }),
  )
})

form?.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = new FormData(form).get('text')
  if (typeof text === 'string') void client.comments.create({ topicId: 7, text }).then(() => form.reset())
})
