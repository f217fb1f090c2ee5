// Package worktest holds the contract test of [work.Store] and [work.Index], and a store
// that forgets. Start with [TestStore] and [TestIndex]; store/desk passes them on both of
// its databases.
package worktest
