import { nothing, type Filter, type Where } from './filter.ts'
import { matchesFilter } from './match-filter.ts'
import { parseWhere } from './parse-where.ts'
import type { Permission, PermissionContext } from './permission.ts'
import { type Limits, RtapiError } from './protocol.ts'
import type { ResourceModel } from './resource-model.ts'
import { type Clock, type MaybePromise, type Report, after, isPromise, withTimeout } from './runtime.ts'
import type { Session } from './session.ts'
import type { Row } from './value.ts'

/** What a session may do with a resource by one action, as of the moment it was asked. */
export interface Access {
  /** The rows that exist for the session (for a write: which of them may be written). */
  readonly scope: Filter
  /** The fields it may see, filter by and sort by. */
  readonly fields: readonly string[]
}

/** Asks the permissions of resources. A rule that throws, hangs or answers nonsense denies. */
export interface AccessControl {
  /** `null`: the session may not use the action. */
  access(model: ResourceModel, session: Session, action: string): MaybePromise<Access | null>
  /** Judges a write on one record. */
  allowsRecord(model: ResourceModel, session: Session, action: string, row: Row): MaybePromise<boolean>
}

/** Asks with the time limit `limits.ruleTimeout`; what goes wrong in a rule is reported. */
export function accessControl(limits: Limits, clock: Clock, report: Report): AccessControl {
  /** A rule that fails is no answer: the caller sees `unavailable`, and nothing is sent under it. */
  function ask<T>(model: ResourceModel, rule: () => string, answer: () => MaybePromise<T>): MaybePromise<T> {
    const failed = (error: unknown): never => {
      report(error, { during: `permission.${rule()}`, resource: model.name })
      throw new RtapiError('unavailable', 'The permission could not be determined.', { cause: error })
    }
    let answered: MaybePromise<T>
    try {
      answered = answer()
    } catch (error) {
      return failed(error)
    }
    if (!isPromise(answered)) return answered
    const late = (): Error => new Error(`the rule took longer than ${limits.ruleTimeout} ms`)
    return withTimeout(clock, limits.ruleTimeout, answered, late).catch(failed)
  }

  function contextOf(model: ResourceModel, session: Session, action: string): PermissionContext {
    return {
      session,
      resource: model.name,
      action,
      matches: (where, row) => matchesFilter(scopeFilter(model, where), model.types, row),
    }
  }

  return {
    access(model, session, action) {
      const { permission } = model
      const context = contextOf(model, session, action)
      let rule: keyof Permission = 'allows'
      // One time limit for all three: they are asked for every request.
      return ask(
        model,
        () => rule,
        () =>
          after(permission.allows(context), (allowed) => {
            if (!allowed) return null
            rule = 'scope'
            return after(permission.scope(context), (where) => {
              const scope = scopeFilter(model, where)
              rule = 'fields'
              return after(permission.fields(context), (visible) => ({ scope, fields: visibleFields(model, visible) }))
            })
          }),
      )
    },
    allowsRecord: (model, session, action, row) =>
      ask(
        model,
        () => 'allowsRecord',
        () => model.permission.allowsRecord(contextOf(model, session, action), row),
      ),
  }
}

function visibleFields(model: ResourceModel, visible: readonly string[] | boolean): readonly string[] {
  if (visible === true) return model.exposed
  return visible === false ? [] : model.exposed.filter((field) => visible.includes(field))
}

function scopeFilter(model: ResourceModel, where: Where | boolean): Filter {
  if (where === true) return { type: 'const', value: true }
  return where === false ? nothing : parseWhere(where, { types: model.types, trusted: true })
}
