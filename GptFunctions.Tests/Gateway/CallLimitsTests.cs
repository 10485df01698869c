using GptFunctions.Gateway;

namespace GptFunctions.Tests.Gateway;

/// <summary>What ends one call never ends another that comes after it and uses the same memory.</summary>
public sealed class CallLimitsTests
{
    private readonly CallLimits limits = new();

    [Fact]
    public async Task Caller_who_hangs_up_ends_the_call_and_none_after_it()
    {
        using var caller = new CancellationTokenSource();
        using var over = new CancellationTokenSource();
        CancellationTokenSource first;
        using (var call = limits.Begin(over.Token))
        {
            first = call.Limit;
        }

        await over.CancelAsync(); // the call is over
        using (var call = limits.Begin(caller.Token))
        {
            Assert.Same(first, call.Limit);
            Assert.False(call.Limit.IsCancellationRequested);
            await caller.CancelAsync();
            Assert.True(call.Limit.IsCancellationRequested);
        }

        using var next = limits.Begin(CancellationToken.None);
        Assert.False(next.Limit.IsCancellationRequested);
        using var late = limits.Begin(caller.Token); // who hung up before it began
        Assert.True(late.Limit.IsCancellationRequested);
    }

    [Fact]
    public async Task Time_of_a_call_runs_for_no_other()
    {
        using (var call = limits.Begin(CancellationToken.None))
        {
            call.Limit.CancelAfter(TimeSpan.FromMilliseconds(50));
        }

        using var next = limits.Begin(CancellationToken.None);
        next.Limit.CancelAfter(TimeSpan.FromMinutes(1));
        using (var other = limits.Begin(CancellationToken.None))
        {
            other.Limit.CancelAfter(TimeSpan.FromMilliseconds(100)); // when this has run, the first would have
            var isOver = new TaskCompletionSource();
            await using (other.Limit.Token.Register(isOver.SetResult))
            {
                await isOver.Task;
            }
        }

        Assert.False(next.Limit.IsCancellationRequested);
    }
}
