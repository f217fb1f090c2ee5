package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/issuance"
)

func testWrite(t *testing.T, sub Subject) {
	s := office(t, sub)
	broken := errors.New("the caller's own")
	t.Run("all of it", func(t *testing.T) {
		write(t, s, func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{cred(1), cred(2)}) })
		wantState(t, s, id(1), issuance.Intended)
		wantState(t, s, id(2), issuance.Intended)
	})
	t.Run("or nothing", func(t *testing.T) {
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			if err := tx.Intend([]issuance.Credential{cred(3)}); err != nil {
				return err
			}
			if err := tx.Append([]audit.Event{event(audit.CredentialIntended, cred(3))}); err != nil {
				return err
			}
			return broken
		})
		if err != broken {
			t.Errorf("Write: %v, want the error that f returned", err)
		}
		_, err = s.Credential(t.Context(), id(3))
		wantErr(t, "Credential", err, issuance.ErrNoCredential)
		if n := len(all(t, sub.Entries(t.Context(), s))); n != 0 {
			t.Errorf("%d audit entries, want none", n)
		}
	})
	t.Run("nothing after an error that f swallowed", func(t *testing.T) {
		err := s.Write(t.Context(), func(tx issuance.Tx) error {
			if err := tx.Intend([]issuance.Credential{cred(4)}); err != nil {
				return err
			}
			_, _ = tx.Change(id(99), issuance.Revoked, issuance.Lost, now)
			return nil
		})
		wantErr(t, "Write", err, issuance.ErrNoCredential)
		_, err = s.Credential(t.Context(), id(4))
		wantErr(t, "Credential", err, issuance.ErrNoCredential)
	})
	t.Run("nothing after a panic", func(t *testing.T) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = s.Write(t.Context(), func(tx issuance.Tx) error {
				_ = tx.Intend([]issuance.Credential{cred(5)})
				panic("on purpose")
			})
		}()
		_, err := s.Credential(t.Context(), id(5))
		wantErr(t, "Credential", err, issuance.ErrNoCredential)
		write(t, s, func(tx issuance.Tx) error { return tx.Intend([]issuance.Credential{cred(5)}) })
	})
	t.Run("nothing after the end of the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Write(ctx, func(tx issuance.Tx) error {
			if err := tx.Intend([]issuance.Credential{cred(6)}); err != nil {
				return err
			}
			cancel()
			return nil
		})
		wantErr(t, "Write", err, context.Canceled)
		_, err = s.Credential(t.Context(), id(6))
		wantErr(t, "Credential", err, issuance.ErrNoCredential)
		wantErr(t, "Write", s.Write(ctx, func(issuance.Tx) error { t.Error("f was called"); return nil }), context.Canceled)
	})
	t.Run("sees what it wrote", func(t *testing.T) {
		write(t, s, func(tx issuance.Tx) error {
			if err := tx.Intend([]issuance.Credential{cred(7)}); err != nil {
				return err
			}
			c, err := tx.Change(id(7), issuance.Revoked, issuance.Leftover, now)
			if err == nil && c.State != issuance.Revoked {
				return fmt.Errorf("it is %s", c.State)
			}
			return err
		})
		wantState(t, s, id(7), issuance.Revoked)
	})
}

func testTick(t *testing.T, sub Subject) {
	s := sub.New(t)
	tick := func(at time.Time, fail error) (got time.Time) {
		t.Helper()
		err := s.Write(t.Context(), func(tx issuance.Tx) (err error) {
			if got, err = tx.Tick(at); err != nil {
				return err
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
		return got
	}
	later := now.Add(time.Hour)
	for _, tt := range []struct {
		name     string
		at, want time.Time
		fail     error
	}{
		{"first", now, now, nil},
		{"later", later, later, nil},
		{"clock set back", now, later, nil},
		{"ten years ahead, not stored", now.AddDate(10, 0, 0), now.AddDate(10, 0, 0), errors.New("rolled back")},
		{"forgotten again", now, later, nil},
		{"a millisecond on", later.Add(time.Millisecond), later.Add(time.Millisecond), nil},
	} {
		if got := tick(tt.at, tt.fail); !got.Equal(tt.want) || got.Location() != time.UTC {
			t.Errorf("%s: Tick(%v) = %v, want %v", tt.name, tt.at, got, tt.want)
		}
	}
}

func testProgrammes(t *testing.T, sub Subject) {
	s := sub.New(t)
	save := func(p issuance.ProgrammeRow) error {
		return s.Write(t.Context(), func(tx issuance.Tx) error { return tx.SaveProgramme(p) })
	}
	want := []issuance.ProgrammeRow{programmeRow("a", 1), programmeRow("a", 2), programmeRow("a", 7), programmeRow("b", 3)}
	for _, i := range []int{3, 0, 1, 2} {
		if err := save(want[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range []int{1, 6, 7} {
		wantErr(t, fmt.Sprintf("version %d after 7", v), save(programmeRow("a", v)), issuance.ErrMoved)
	}
	got, err := s.Programmes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Programmes", got, want)
}
