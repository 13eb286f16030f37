import {
  type CreationOptional,
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type ModelStatic,
  type Sequelize,
} from 'sequelize'

/** What somebody has said: to everybody, or to one other person. */
export interface Message extends Model<InferAttributes<Message>, InferCreationAttributes<Message>> {
  id: CreationOptional<number>
  /** Who has said it. */
  author: string
  /** The one who may read it beside its author; null: everybody may. */
  recipient: CreationOptional<string | null>
  text: string
  createdAt: CreationOptional<Date>
}

/** Names are these: they stand in tokens and in filters. */
export const NAME = /^[a-z][a-z0-9-]{0,19}$/

/** Defines the table of messages. */
export function defineMessage(sequelize: Sequelize): ModelStatic<Message> {
  return sequelize.define<Message>(
    'Message',
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      author: { type: DataTypes.STRING(20), allowNull: false },
      recipient: { type: DataTypes.STRING(20), allowNull: true },
      text: { type: DataTypes.STRING(1000), allowNull: false },
      createdAt: { type: DataTypes.DATE(3), allowNull: false },
    },
    { tableName: 'message', updatedAt: false },
  )
}
