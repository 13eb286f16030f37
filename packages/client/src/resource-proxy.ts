/** Names that the language or a tool looks for on any object, and that no resource may be taken for. */
const notResources: ReadonlySet<string> = new Set(['then', 'catch', 'finally', 'toJSON', 'asymmetricMatch', 'nodeType'])
const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

/**
 * The members of `base`, and beside them a resource under every name that can be one. There is nothing to enumerate:
 * which resources there are, only the server and the types know.
 */
export function resourceProxy<Base extends object>(base: Base, resource: (name: string) => unknown): Base {
  return new Proxy(base, {
    get(target, name) {
      if (typeof name === 'symbol' || name in target || notResources.has(name) || !NAME.test(name)) {
        return Reflect.get(target, name) as unknown
      }
      return resource(name)
    },
  })
}
