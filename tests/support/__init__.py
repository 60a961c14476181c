"""Doubles that several tests share: apps, traces, servers, countings. No test lives here."""
