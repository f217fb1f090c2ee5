package engine

func init() { iterations = 1000 }
