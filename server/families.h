/* The families of commands, each a table at the bottom of a file of commands/. Included by command_table.c only. */
#ifdef FAMILY_LIST
#define F(name) FAMILY(name),
#else
#define F(name) FAMILY(name);
#endif
F(ping)
F(connection)
F(client)
F(string)
F(string_range)
F(lcs)
F(bitmap)
F(bitfield)
F(hash)
F(hash_more)
F(set)
F(set_ops)
F(list)
F(list_more)
F(list_block)
F(zset_add)
F(zset_range)
F(zset_store)
F(zset_pop)
F(generic)
F(scan)
F(expire)
F(transaction)
F(pubsub)
F(command)
F(config)
F(info)
F(server)
F(slowlog)
F(latency)
F(memory)
F(debug)
#undef F
