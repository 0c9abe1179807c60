/** What senders asked about notices (RFC 3461), and whether the message needs SMTPUTF8 (RFC 6531). */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddDeliveryStatusNotifications1763800000007 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table message
        add column ret text,
        add column envelope_id text,
        add column smtp_utf8 boolean not null default false,
        add constraint message_ret_check check (ret in ('FULL', 'HDRS'))`);
    await runner.query(`comment on column message.ret is 'RET of MAIL: how much of the message a notice returns'`);
    await runner.query(`comment on column message.envelope_id is 'ENVID of MAIL as given, in xtext'`);
    await runner.query(
      `comment on column message.smtp_utf8 is 'MAIL carried SMTPUTF8: addresses or header are UTF-8, RFC 6531'`,
    );
    await runner.query(`
      alter table queue
        add column notify text,
        add column original_recipient text,
        add column delay_notified boolean not null default false`);
    await runner.query(
      `comment on column queue.notify is 'NOTIFY of RCPT, keywords with commas; null: FAILURE, and DELAY if we like'`,
    );
    await runner.query(`comment on column queue.original_recipient is 'ORCPT of RCPT as given: type;xtext'`);
    await runner.query(`comment on column queue.delay_notified is 'the sender was told that it takes longer'`);
  }

  async down(): Promise<void> {
    await Promise.reject(new Error('migrations are forward-only'));
  }
}
