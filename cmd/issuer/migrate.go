package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

func (p *program) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database of an older version up to date", Args: cobra.NoArgs,
		Long: `Brings a database that an older version of this program made up to date. Nothing is lost, and each step is done or not done: after
an interruption the same command goes on. A database that is up to date stays as it is.

Make a backup first: there is no way back to the older version. On PostgreSQL the role in store_owner does it, and the role in store gets
the rights that it needs, also if there is nothing else to do.`,
		Example: "  issuer migrate --dir office",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(p.settings())
			if err != nil {
				return err
			}
			passphrase, err := readPassphrase(cmd, cfg.KeyPassphraseFile, "Passphrase of the keystore")
			if err != nil {
				return err
			}
			ks, err := keys.OpenFile(cfg.Keystore, passphrase)
			if err != nil {
				return explainKeystore(err)
			}
			location, o, err := cfg.ownerStore(ks, p.Now)
			if err != nil {
				return err
			}
			older := errors.Is(tryStore(cmd, location, o), store.ErrOlder)
			if err := store.Migrate(cmd.Context(), location, o); err != nil {
				return explainStore(err)
			}
			if err := prepareOnce(cmd.Context(), cfg); err != nil {
				return err
			}
			if err := preparePeople(cmd.Context(), cfg); err != nil {
				return err
			}
			view := map[string]any{"store": cfg.Store, "migrated": older}
			return p.Print(cmd, view, func(w io.Writer) {
				if older {
					fmt.Fprintf(w, "%s is up to date now\n", cfg.Store)
				} else {
					fmt.Fprintf(w, "%s was up to date already\n", cfg.Store)
				}
			})
		}),
	}
}

// tryStore opens the database for reading and closes it again.
func tryStore(cmd *cobra.Command, location string, o store.Options) error {
	o.ReadOnly = true
	db, err := store.Open(cmd.Context(), location, o)
	if err != nil {
		return err
	}
	return db.Close()
}
