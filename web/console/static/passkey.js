// The ceremony of the passkey, the only thing that needs a script: see web/console/passkey.go.
export {};
