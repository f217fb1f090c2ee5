package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/staff"
)

// SaveOffice stores an office, new or changed.
func (db *DB) SaveOffice(ctx context.Context, o staff.Office) error {
	if err := o.Check(); err != nil {
		return err
	}
	programmes, err := json.Marshal(append([]string{}, o.Programmes...))
	if err != nil {
		return err
	}
	values, err := json.Marshal(append([]string{}, o.Values...))
	if err != nil {
		return err
	}
	return db.write(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO office (id, name, programmes, field, vals) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, programmes = excluded.programmes, field = excluded.field, vals = excluded.vals`,
			o.ID, o.Name, string(programmes), o.Column, string(values))
		return err
	})
}

const selectOffice = `SELECT id, name, programmes, field, vals FROM office`

func scanOffice(scan func(...any) error) (o staff.Office, err error) {
	var programmes, values string
	if err := scan(&o.ID, &o.Name, &programmes, &o.Column, &values); err != nil {
		return o, err
	}
	if err := json.Unmarshal([]byte(programmes), &o.Programmes); err != nil {
		return o, fmt.Errorf("office %s: its programmes are damaged", o.ID)
	}
	if err := json.Unmarshal([]byte(values), &o.Values); err != nil {
		return o, fmt.Errorf("office %s: its values are damaged", o.ID)
	}
	return o, nil
}

// Office returns an office, or [staff.ErrNoOffice].
func (db *DB) Office(ctx context.Context, id string) (o staff.Office, err error) {
	err = staff.ErrNoOffice
	e := db.read(ctx, func(t tx) error {
		return t.each(selectOffice+` WHERE id = $1`, []any{id}, func(scan func(...any) error) (e error) {
			o, e = scanOffice(scan)
			err = nil
			return e
		})
	})
	if e != nil {
		return staff.Office{}, e
	}
	return o, err
}

// Offices returns all offices, by id.
func (db *DB) Offices(ctx context.Context) (all []staff.Office, err error) {
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(selectOffice+` ORDER BY id`, nil, func(scan func(...any) error) error {
			o, err := scanOffice(scan)
			all = append(all, o)
			return err
		})
	})
	return all, err
}

const selectOperator = `SELECT id, name, office, roles, standing, epoch, made, seen FROM operator`

func scanOperator(scan func(...any) error) (op staff.Operator, err error) {
	var roles string
	var made, seen int64
	if err := scan(&op.ID, &op.Name, &op.Office, &roles, &op.Standing, &op.Epoch, &made, &seen); err != nil {
		return op, err
	}
	for r := range strings.SplitSeq(roles, ",") {
		if slices.Contains(staff.Roles(), staff.Role(r)) {
			op.Roles = append(op.Roles, staff.Role(r))
		}
	}
	op.Made, op.Seen = moment(made), moment(seen)
	return op, nil
}

func rolesText(roles []staff.Role) string {
	all := make([]string, len(roles))
	for i, r := range roles {
		all[i] = string(r)
	}
	return strings.Join(all, ",")
}

func (t tx) operator(id string) (op staff.Operator, err error) {
	err = staff.ErrNoOperator
	e := t.each(selectOperator+` WHERE id = $1`, []any{id}, func(scan func(...any) error) (e error) {
		op, e = scanOperator(scan)
		err = nil
		return e
	})
	if e != nil {
		return staff.Operator{}, e
	}
	return op, err
}

// Operator returns an operator, or [staff.ErrNoOperator].
func (db *DB) Operator(ctx context.Context, id string) (op staff.Operator, err error) {
	err = db.read(ctx, func(t tx) (err error) {
		op, err = t.operator(id)
		return err
	})
	return op, err
}

// Operators returns those of an office, or of all if it is empty, by name.
func (db *DB) Operators(ctx context.Context, office string) (all []staff.Operator, err error) {
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(selectOperator+` WHERE $1 = '' OR office = $1 ORDER BY name, id`, []any{office}, func(scan func(...any) error) error {
			op, err := scanOperator(scan)
			all = append(all, op)
			return err
		})
	})
	return all, err
}

// Invite stores somebody new, who is [staff.Invited], with the link to begin with.
func (db *DB) Invite(ctx context.Context, op staff.Operator, link staff.Invitation) error {
	roles, err := staff.CheckRoles(op.Roles)
	if err != nil {
		return err
	}
	if op.Name, err = staff.CheckName(op.Name); err != nil {
		return err
	}
	return db.write(ctx, func(t tx) error {
		if found, err := t.one(`SELECT 1 FROM office WHERE id = $1`, []any{op.Office}, new(int)); err != nil || !found {
			return orElse(err, staff.ErrNoOffice)
		}
		if _, err := t.exec(`INSERT INTO operator (id, name, office, roles, standing, epoch, made, seen) VALUES ($1, $2, $3, $4, $5, 1, $6, 0)`,
			op.ID, op.Name, op.Office, rolesText(roles), string(staff.Invited), milli(op.Made)); err != nil {
			return err
		}
		return t.link(op.ID, link)
	})
}

// orElse is err, or other if that is nil.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// link stores an invitation; those that the operator had before stop working.
func (t tx) link(operator string, link staff.Invitation) error {
	if _, err := t.exec(`UPDATE invitation SET state = 'withdrawn' WHERE operator = $1 AND state = 'open'`, operator); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO invitation (digest, operator, kind, made, expires, state) VALUES ($1, $2, $3, $4, $5, 'open')`,
		link.Digest[:], operator, string(link.Kind), milli(link.Made), milli(link.Expires))
	return err
}

// Relink gives an operator a new link: an invitation that was lost or is too late, or
// the one to recover with.
func (db *DB) Relink(ctx context.Context, operator string, link staff.Invitation) error {
	return db.write(ctx, func(t tx) error {
		op, err := t.operator(operator)
		if err != nil {
			return err
		}
		recover := link.Kind == staff.RecoverLink
		if op.Standing == staff.Left || op.Standing == staff.Suspended || recover != (op.Standing == staff.Active) {
			return staff.ErrMayNot
		}
		return t.link(operator, link)
	})
}

// Invitation returns a link that works at this moment and whose it is, or [ErrNone].
func (db *DB) Invitation(ctx context.Context, digest [32]byte, now time.Time) (link staff.Invitation, op staff.Operator, err error) {
	err = db.read(ctx, func(t tx) (err error) {
		link, op, err = t.invitation(digest, now)
		return err
	})
	return link, op, err
}

func (t tx) invitation(digest [32]byte, now time.Time) (link staff.Invitation, op staff.Operator, err error) {
	var made, expires int64
	found, err := t.one(`SELECT operator, kind, made, expires FROM invitation WHERE digest = $1 AND state = 'open' AND expires > $2`,
		[]any{digest[:], now.UnixMilli()}, &link.Operator, &link.Kind, &made, &expires)
	if err != nil || !found {
		return link, op, orElse(err, ErrNone)
	}
	link.Digest, link.Made, link.Expires = digest, moment(made), moment(expires)
	if op, err = t.operator(link.Operator); err != nil {
		return link, op, err
	}
	if op.Standing == staff.Suspended || op.Standing == staff.Left {
		return link, op, ErrNone
	}
	return link, op, nil
}

// Enrol uses an invitation up: its operator is active and has this passkey. With a
// link to recover, all older passkeys are removed. It returns the operator, or
// [ErrNone] if the link does not work, or [ErrExists] if somebody has the passkey.
func (db *DB) Enrol(ctx context.Context, digest [32]byte, key staff.Passkey, now time.Time) (op staff.Operator, err error) {
	err = db.write(ctx, func(t tx) error {
		var link staff.Invitation
		var err error
		if link, op, err = t.invitation(digest, now); err != nil {
			return err
		}
		if n, err := t.exec(`UPDATE invitation SET state = 'used' WHERE digest = $1 AND state = 'open'`, digest[:]); err != nil || n != 1 {
			return orElse(err, ErrNone)
		}
		if err := t.unknown(key.ID); err != nil {
			return err
		}
		if link.Kind == staff.RecoverLink {
			if _, err := t.exec(`DELETE FROM passkey WHERE operator = $1`, op.ID); err != nil {
				return err
			}
		}
		op.Epoch++
		op.Standing, op.Seen = staff.Active, now
		if _, err := t.exec(`UPDATE operator SET standing = 'active', epoch = $2, seen = $3 WHERE id = $1`, op.ID, op.Epoch, milli(now)); err != nil {
			return err
		}
		key.Operator = op.ID
		return t.addPasskey(key, now)
	})
	return op, err
}

// unknown is ErrExists if somebody has a passkey with this id.
func (t tx) unknown(id []byte) error {
	found, err := t.one(`SELECT 1 FROM passkey WHERE id = $1`, []any{id}, new(int))
	if err != nil || !found {
		return err
	}
	return ErrExists
}

func (t tx) addPasskey(key staff.Passkey, now time.Time) error {
	var n int
	if _, err := t.one(`SELECT count(*) FROM passkey WHERE operator = $1`, []any{key.Operator}, &n); err != nil {
		return err
	}
	if n >= staff.MaxPasskeys {
		return staff.ErrManyPasskeys
	}
	_, err := t.exec(`INSERT INTO passkey (id, operator, name, data, made, used, state) VALUES ($1, $2, $3, $4, $5, $5, 'good')`,
		key.ID, key.Operator, key.Name, key.Data, milli(now))
	return err
}

// AddPasskey stores one more passkey of an operator, or returns [ErrExists].
func (db *DB) AddPasskey(ctx context.Context, key staff.Passkey, now time.Time) error {
	return db.write(ctx, func(t tx) error {
		if _, err := t.operator(key.Operator); err != nil {
			return err
		}
		if err := t.unknown(key.ID); err != nil {
			return err
		}
		return t.addPasskey(key, now)
	})
}

const selectPasskey = `SELECT id, operator, name, data, made, used, state FROM passkey`

func scanPasskey(scan func(...any) error) (k staff.Passkey, err error) {
	var made, used int64
	var state string
	err = scan(&k.ID, &k.Operator, &k.Name, &k.Data, &made, &used, &state)
	k.Made, k.Used, k.Locked = moment(made), moment(used), state == "locked"
	return k, err
}

// Passkeys returns those of an operator, the oldest first.
func (db *DB) Passkeys(ctx context.Context, operator string) (all []staff.Passkey, err error) {
	err = db.read(ctx, func(t tx) error {
		all = nil
		return t.each(selectPasskey+` WHERE operator = $1 ORDER BY made, id`, []any{operator}, func(scan func(...any) error) error {
			k, err := scanPasskey(scan)
			all = append(all, k)
			return err
		})
	})
	return all, err
}

// UsedPasskey notes that a passkey was used. old is its data as it was read; if
// somebody used it meanwhile, or it is locked, it is [ErrNone]: of two that use one
// passkey at once, one signs in.
func (db *DB) UsedPasskey(ctx context.Context, key staff.Passkey, old []byte, now time.Time) error {
	return db.write(ctx, func(t tx) error {
		state := "good"
		if key.Locked {
			state = "locked"
		}
		n, err := t.exec(`UPDATE passkey SET data = $2, used = $3, state = $4 WHERE id = $1 AND state = 'good' AND data = $5`,
			key.ID, key.Data, milli(now), state, old)
		if err != nil || n != 1 {
			return orElse(err, ErrNone)
		}
		_, err = t.exec(`UPDATE operator SET seen = $2 WHERE id = $1`, key.Operator, milli(now))
		return err
	})
}

// RemovePasskey removes a passkey of an operator, whose sessions end. The last good
// one stays: [staff.ErrLastPasskey].
func (db *DB) RemovePasskey(ctx context.Context, operator string, id []byte) error {
	return db.write(ctx, func(t tx) error {
		n, err := t.exec(`DELETE FROM passkey WHERE operator = $1 AND id = $2`, operator, id)
		if err != nil || n != 1 {
			return orElse(err, ErrNone)
		}
		var left int
		if _, err := t.one(`SELECT count(*) FROM passkey WHERE operator = $1 AND state = 'good'`, []any{operator}, &left); err != nil {
			return err
		}
		if left == 0 {
			return staff.ErrLastPasskey
		}
		_, err = t.exec(`UPDATE operator SET epoch = epoch + 1 WHERE id = $1`, operator)
		return err
	})
}

// SetRoles changes what an operator may do. Their sessions end.
func (db *DB) SetRoles(ctx context.Context, operator, office string, roles []staff.Role) error {
	roles, err := staff.CheckRoles(roles)
	if err != nil {
		return err
	}
	return db.changeOperator(ctx, operator, func(t tx, op *staff.Operator) error {
		if found, err := t.one(`SELECT 1 FROM office WHERE id = $1`, []any{office}, new(int)); err != nil || !found {
			return orElse(err, staff.ErrNoOffice)
		}
		op.Roles, op.Office = roles, office
		return nil
	})
}

// SetStanding changes whether an operator can work. Their sessions end, and links that
// they have stop working. Somebody who has left stays away.
func (db *DB) SetStanding(ctx context.Context, operator string, to staff.Standing) error {
	return db.changeOperator(ctx, operator, func(t tx, op *staff.Operator) error {
		switch {
		case op.Standing == staff.Left, to == staff.Invited:
			return staff.ErrMayNot
		case to == staff.Active && op.Standing != staff.Suspended:
			return staff.ErrMayNot
		}
		if to == staff.Active {
			var n int
			if _, err := t.one(`SELECT count(*) FROM passkey WHERE operator = $1`, []any{operator}, &n); err != nil {
				return err
			}
			if n == 0 { // suspended before the link was used
				to = staff.Invited
			}
		}
		op.Standing = to
		_, err := t.exec(`UPDATE invitation SET state = 'withdrawn' WHERE operator = $1 AND state = 'open'`, operator)
		return err
	})
}

// changeOperator changes an operator and sees to it that somebody can look after
// people if anybody could before.
func (db *DB) changeOperator(ctx context.Context, id string, change func(tx, *staff.Operator) error) error {
	return db.write(ctx, func(t tx) error {
		op, err := t.operator(id)
		if err != nil {
			return err
		}
		was := op
		if err := change(t, &op); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE operator SET office = $2, roles = $3, standing = $4, epoch = epoch + 1 WHERE id = $1`,
			id, op.Office, rolesText(op.Roles), string(op.Standing)); err != nil {
			return err
		}
		if err := t.dropCards(); err != nil {
			return err
		}
		if !was.May(staff.ProposeOffice, staff.None) {
			return nil
		}
		left := false
		err = t.each(selectOperator+` WHERE standing = 'active'`, nil, func(scan func(...any) error) error {
			other, err := scanOperator(scan)
			left = left || other.Is(staff.Administrator)
			return err
		})
		if err == nil && !left {
			err = staff.ErrLastAdministrator
		}
		return err
	})
}

// People counts operators by standing, and links of the first administrator that can
// still be used.
func (db *DB) People(ctx context.Context, now time.Time) (standings map[staff.Standing]int, firstLinks int, err error) {
	err = db.read(ctx, func(t tx) error {
		standings = map[staff.Standing]int{}
		err := t.each(`SELECT standing, count(*) FROM operator GROUP BY standing`, nil, func(scan func(...any) error) error {
			var s staff.Standing
			var n int
			err := scan(&s, &n)
			standings[s] = n
			return err
		})
		if err != nil {
			return err
		}
		_, err = t.one(`SELECT count(*) FROM invitation WHERE kind = 'first' AND state = 'open' AND expires > $1`, []any{now.UnixMilli()}, &firstLinks)
		return err
	})
	return standings, firstLinks, err
}
