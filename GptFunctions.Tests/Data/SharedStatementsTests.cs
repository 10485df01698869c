using GptFunctions.Data;
using Npgsql;

namespace GptFunctions.Tests.Data;

/// <summary>data.md 14: who comes while a statement is on its way waits for the next one and shares it; nobody pays for another's fault.</summary>
public sealed class SharedStatementsTests
{
    private readonly List<string> statements = [];
    private readonly List<TaskCompletionSource> running = [];
    private readonly Lock turn = new();

    private sealed class Item(string name) : SharedItem<string>
    {
        public string Name => name;
    }

    [Fact]
    public async Task Item_that_comes_alone_waits_for_nobody()
    {
        var shared = Shared();

        var answer = shared.RunAsync(new Item("a"));
        Finish(0);

        Assert.Equal("a!", await answer);
        Assert.Equal(["a"], statements);
    }

    [Fact]
    public async Task Items_that_come_meanwhile_share_the_next_statement()
    {
        var shared = Shared();

        var answers = Ask(shared, "a", "b", "c", "d");
        Finish(0);
        Finish(1);

        Assert.Equal("a! b! c! d!", string.Join(" ", await Task.WhenAll(answers)));
        Assert.Equal(["a", "b c d"], statements);
    }

    /// <summary>Where work waits for a thread: after a shared statement it goes first, and whoever asks in it shares the next one.</summary>
    [Fact]
    public void After_a_shared_statement_what_waits_for_a_thread_goes_first()
    {
        var shared = Shared();
        var thread = new OneThread();
        thread.Run(() =>
        {
            _ = Ask(shared, "a", "b", "c");
            Finish(0);
            thread.Post(_ => Ask(shared, "d"), null);
            thread.Post(_ => Ask(shared, "e"), null);
            Finish(1);
        });

        Assert.Equal(["a", "b c", "d e"], statements);
    }

    [Fact]
    public async Task Items_that_must_not_meet_come_one_statement_after_the_other_and_the_oldest_first()
    {
        var shared = Shared();

        var answers = Ask(shared, "a", "twin", "b", "twin", "c");
        for (var number = 0; number < 3; number++)
        {
            Finish(number);
        }

        await Task.WhenAll(answers);
        Assert.Equal(["a", "twin b c", "twin"], statements);
    }

    [Fact]
    public async Task Statement_takes_two_hundred_items_at_most()
    {
        var shared = Shared();

        var answers = Ask(shared, [.. Enumerable.Range(0, 451).Select(number => $"{number}")]);
        for (var number = 0; number < 4; number++)
        {
            Finish(number);
        }

        await Task.WhenAll(answers);
        Assert.Equal([1, 200, 200, 50], statements.Select(names => names.Split(' ').Length));
    }

    /// <summary>Whoever is tried alone may take as long as it takes: the next statement does not wait for it.</summary>
    [Fact]
    public async Task Statement_after_one_that_failed_does_not_wait_for_those_who_are_tried_alone()
    {
        var shared = Shared(fails: names => names == "a" ? new PostgresException("no", "ERROR", "ERROR", "55P03") : null);

        var answers = Ask(shared, "a", "b");
        Finish(0);
        Finish(1);
        Finish(2);
        await answers[1];
        await answers[0];

        Assert.Equal(["a", "alone a", "b"], statements);
    }

    [Fact]
    public async Task Two_lanes_are_two_statements_at_once()
    {
        var shared = Shared(lanes: 2);

        var answers = Ask(shared, "a", "b", "c", "d");
        Finish(1);
        await answers[1];
        Finish(2);
        await Task.WhenAll(answers[2..]);
        Finish(0);

        await Task.WhenAll(answers);
        Assert.Equal(["a", "b", "c d"], statements);
    }

    /// <summary>A unique violation, a deadlock, a lock that did not come: of one item, as far as anybody knows.</summary>
    [Theory]
    [InlineData("23505")]
    [InlineData("40P01")]
    [InlineData("55P03")]
    [InlineData("22021")]
    [InlineData("GF001")]
    public async Task Statement_that_fails_is_tried_again_item_by_item(string state)
    {
        var shared = Shared(fails: names => names.Contains("bad", StringComparison.Ordinal)
            ? new PostgresException("no", "ERROR", "ERROR", state) : null);

        var answers = Ask(shared, "a", "b", "bad", "c");
        for (var number = 0; number < 5; number++)
        {
            Finish(number);
        }

        Assert.Equal("a! b! c!", string.Join(" ", await Task.WhenAll(answers[0], answers[1], answers[3])));
        Assert.Equal(state, (await Assert.ThrowsAsync<PostgresException>(() => answers[2])).SqlState);
        Assert.Equal(["a", "b bad c", "alone b", "alone bad", "alone c"], statements);
    }

    /// <summary>What befalls all is not tried item by item: they would wait for the same silence, one after the other.</summary>
    [Fact]
    public async Task Outage_ends_all_who_wait_at_once()
    {
        var shared = Shared(fails: names => names == "a" ? new NpgsqlException("gone") : null);

        var answers = Ask(shared, "a", "b", "c");
        Finish(0);

        foreach (var answer in answers)
        {
            await Assert.ThrowsAsync<NpgsqlException>(() => answer);
        }

        var later = shared.RunAsync(new Item("d"));
        Finish(1);
        Assert.Equal("d!", await later);
        Assert.Equal(["a", "d"], statements);
    }

    [Fact]
    public async Task Item_that_was_answered_before_the_statement_failed_keeps_its_answer()
    {
        var shared = new SharedStatements<Item, string>(
            items =>
            {
                items[0].Answer = "done";
                throw new NpgsqlException("gone");
            },
            _ => Task.CompletedTask, static () => static _ => true);

        Assert.Equal("done", await shared.RunAsync(new Item("a")));
    }

    [Fact]
    public async Task Item_of_which_the_statement_said_nothing_has_no_answer()
    {
        var shared = new SharedStatements<Item, string>(_ => Task.CompletedTask, _ => Task.CompletedTask, static () => static _ => true);

        Assert.Null(await shared.RunAsync(new Item("a")));
    }

    private SharedStatements<Item, string> Shared(int lanes = 1, Func<string, Exception?>? fails = null)
    {
        return new(items => RunAsync("", items), item => RunAsync("alone ", [item]), Begin, lanes);

        async Task RunAsync(string how, List<Item> items)
        {
            var names = how + string.Join(' ', items.Select(item => item.Name));
            TaskCompletionSource mine;
            lock (turn)
            {
                statements.Add(names);
                mine = Running(statements.Count - 1);
            }

            await mine.Task;
            if (fails?.Invoke(names) is { } failure)
            {
                throw failure;
            }

            items.ForEach(item => item.Answer = item.Name + "!");
        }

        static Predicate<Item> Begin()
        {
            var names = new HashSet<string>(StringComparer.Ordinal);
            return item => names.Add(item.Name);
        }
    }

    private static Task<string?>[] Ask(SharedStatements<Item, string> shared, params string[] names) =>
        [.. names.Select(name => shared.RunAsync(new Item(name)))];

    /// <summary>Lets the statement of this number end, as soon as it has begun.</summary>
    private void Finish(int number)
    {
        lock (turn)
        {
            Running(number).SetResult();
        }
    }

    private TaskCompletionSource Running(int number)
    {
        while (running.Count <= number)
        {
            running.Add(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        return running[number];
    }

    /// <summary>One thread, which does one thing after the other until there is nothing left to do.</summary>
    private sealed class OneThread : SynchronizationContext
    {
        private readonly Queue<(SendOrPostCallback Work, object? State)> queue = [];

        public override void Post(SendOrPostCallback d, object? state) => queue.Enqueue((d, state));

        public void Run(Action first)
        {
            var before = Current;
            SetSynchronizationContext(this);
            try
            {
                first();
                while (queue.TryDequeue(out var next))
                {
                    next.Work(next.State);
                }
            }
            finally
            {
                SetSynchronizationContext(before);
            }
        }
    }
}
