// An operator's morning at the console, in headless Chromium: logs in, finds a dead job and retries it, pauses and resumes a
// queue, retries the rest in bulk, and watches a bill run finish. Run by tests/console_browser.rs, which says where the
// console is and who the operator is: node console.mjs ADDRESS NAME PASSWORD
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { chromium } = createRequire(join(process.env.MODULES, 'x.js'))('playwright-core')
const [address, name, password] = process.argv.slice(2)
const WHY = 'as the browser test asks'
const problems = []

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
const context = await browser.newContext({ colorScheme: 'dark', viewport: { width: 1280, height: 900 } })
context.setDefaultTimeout(15_000)
const page = await context.newPage()
watch(page)

try {
  await logIn()
  await retryOne()
  await pauseAndResume()
  await retryTheRest()
  await watchBillRun()
  await logOut()
} catch (error) {
  problems.push(`${error.message}\n  at ${page.url()}: ${(await page.locator('main').innerText().catch(() => '')).slice(0, 600)}`)
}
await browser.close()
for (const problem of problems) console.error(problem)
process.exit(problems.length === 0 ? 0 : 1)

// The pages' policy and script must hold without a word on the console.
function watch (tab) {
  tab.on('console', message => message.type() === 'error' && !message.text().includes('401') && problems.push(message.text()))
  tab.on('pageerror', error => problems.push(error.message))
  tab.on('request', request => request.url().startsWith(address) || request.url().startsWith('data:') ||
    problems.push(`it loads ${request.url()}`))
}

function go (path, tab = page) {
  return tab.goto(address + path)
}

async function expect (what, holds) {
  if (!await holds) throw new Error(`expected: ${what}`)
}

async function logIn () {
  await go('/dead')
  await expect('who is not logged in is asked for a name', page.getByRole('heading', { name: 'Log in' }).isVisible())
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { level: 1, name: 'Dead letters' }).waitFor()
}

async function retryOne () {
  await go('/')
  await page.getByRole('heading', { name: 'Needs somebody' }).waitFor()
  await page.getByRole('link', { name: 'decide' }).click()
  await page.getByText('the ledger was away # times').waitFor()
  await page.getByRole('link', { name: 'Look at one' }).click()
  const attempt = page.getByRole('table').filter({ hasText: 'Attempt' }).getByRole('row').nth(1)
  await expect('the attempt says what went wrong', attempt.innerText().then(text => text.includes('the ledger was away')))
  const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Retry' }) })
  await form.getByLabel('Reason').fill(WHY)
  await form.getByRole('button', { name: 'Retry' }).click()
  await reloadUntil('the job is done', () => page.locator('main .actions .state-done').isVisible())
  await expect('who retried it is said', page.locator('main').innerText().then(text => text.includes(WHY)))
}

async function pauseAndResume () {
  await go('/queues')
  await change('documents', 'Pause')
  await page.getByRole('row').filter({ hasText: 'documents' }).getByText(WHY).waitFor()
  await change('documents', 'Resume')
  await expect('nothing holds it back', page.getByRole('row').filter({ hasText: 'documents' }).innerText()
    .then(text => !text.includes(WHY)))
}

// Pauses or resumes a lane from the page of queues.
async function change (lane, what, tab = page) {
  const row = tab.getByRole('row').filter({ has: tab.getByRole('rowheader', { name: lane, exact: true }) })
  await row.locator('summary', { hasText: what }).click()
  await row.getByLabel('Reason').fill(WHY)
  await row.getByRole('button', { name: what }).click()
  await tab.waitForURL('**/queues')
}

async function retryTheRest () {
  await go('/jobs?state=dead')
  await page.getByText('4 jobs match').waitFor()
  await page.getByRole('link', { name: 'Retry all' }).click()
  await page.getByLabel('Reason').fill(WHY)
  await page.getByRole('button', { name: 'Retry them' }).click()
  await page.waitForURL('**/bulk/*')
  // The page fetches itself anew; nobody reloads it.
  await page.locator('#bulk .state-done').waitFor()
  await reloadUntil('no job is dead', async () => {
    await go('/dead')
    return page.getByText('No job is dead').isVisible()
  })
}

async function watchBillRun () {
  await go('/bill-runs')
  await page.getByRole('link', { name: '2026-08' }).first().click()
  await page.getByText('0 of 3 jobs are over').waitFor()
  const other = await context.newPage()
  watch(other)
  await go('/queues', other)
  await change('billing.aws', 'Resume', other)
  await page.getByText('The month is proved complete').waitFor()
  await page.getByText('3 of 3 jobs are over').waitFor()
  await other.close()
}

async function logOut () {
  await page.getByRole('button', { name: 'Log out' }).click()
  await go('/')
  await expect('who has logged out is asked for a name', page.getByRole('heading', { name: 'Log in' }).isVisible())
}

async function reloadUntil (what, holds) {
  for (let tries = 0; tries < 60; tries++) {
    if (await holds()) return
    await page.waitForTimeout(100)
    await page.reload()
  }
  throw new Error(`waited in vain: ${what}`)
}
