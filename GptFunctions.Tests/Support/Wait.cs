using System.Diagnostics;

namespace GptFunctions.Tests.Support;

/// <summary>Waits for a condition, with a limit: no test sleeps for a time that may be too long or too short.</summary>
internal static class Wait
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(20);

    public static Task UntilAsync(Func<bool> condition, CancellationToken cancellationToken = default) =>
        UntilAsync(() => Task.FromResult(condition()), cancellationToken);

    public static Task UntilAsync(Func<Task<bool>> condition, CancellationToken cancellationToken = default) =>
        UntilAsync(condition, Limit, cancellationToken);

    /// <summary>The value, as soon as there is one.</summary>
    public static async Task<T> ForAsync<T>(Func<T?> value)
        where T : class
    {
        T? found = null;
        await UntilAsync(() => (found = value()) is not null);
        return found!;
    }

    public static async Task UntilAsync(Func<Task<bool>> condition, TimeSpan limit, CancellationToken cancellationToken = default)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(watch.Elapsed < limit, $"The condition did not come true in {limit.TotalSeconds} s.");
            await Task.Delay(Step, cancellationToken);
        }
    }
}
