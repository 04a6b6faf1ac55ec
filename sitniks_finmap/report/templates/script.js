// Makes the heads of tables buttons that sort. Without it, everything is there in its first order.
const number = /^-?\d+(\.\d\d)?$/
const key = cell => cell.dataset.v ?? cell.textContent.trim()
const compare = (a, b) => {
  if (!a || !b) return !a - !b
  if (!number.test(a) || !number.test(b)) return a.localeCompare(b, document.documentElement.lang)
  const difference = BigInt(a.replace('.', '')) - BigInt(b.replace('.', ''))
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}
for (const table of document.querySelectorAll('table.sort')) {
  for (const head of table.querySelectorAll('thead tr:last-child th, th[rowspan]')) {
    const button = document.createElement('button')
    button.append(...head.childNodes)
    head.append(button)
    button.onclick = () => {
      const up = head.ariaSort !== 'descending' ? head.ariaSort ? -1 : head.className === 'n' ? -1 : 1 : 1
      for (const other of table.querySelectorAll('th')) other.ariaSort = null
      head.ariaSort = up > 0 ? 'ascending' : 'descending'
      const at = +head.dataset.at, body = table.tBodies[0]
      body.append(...[...body.rows].sort((a, b) => up * compare(key(a.cells[at]), key(b.cells[at]))))
    }
  }
}
