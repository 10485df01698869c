using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Sessions;
using GptFunctions.Tests.Support;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Tests.Hosting;

/// <summary>"No background service may stop the host: it says so, waits, goes on."</summary>
public sealed class SteadyServiceTests
{
    // They have loops of their own, which catch whatever their work throws.
    private static readonly Type[] LetNothingOut = [typeof(ChangeFeed), typeof(FailureTally), typeof(UsedGenerationsWriter)];

    [Fact]
    public async Task Exception_is_logged_once_and_the_work_goes_on()
    {
        var log = new TestLog();
        using var service = new Stumbling(log);
        await service.StartAsync(CancellationToken.None);
        await service.ExecuteTask!.WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(4, service.Steps);
        Assert.Equal(["Error 1040", "Information 1041"], log.Lines.Select(line => string.Join(' ', line.Split(' ')[..2])));
    }

    /// <summary>An exception that leaves any of them would stop the whole program. A new one is a steady one, or joins the list after a hard look.</summary>
    [Fact]
    public void Every_background_service_is_a_steady_one() =>
        Assert.All(typeof(SteadyService).Assembly.GetTypes().Where(type => type.IsAssignableTo(typeof(BackgroundService)) && !type.IsAbstract),
            type => Assert.True(
                type.IsAssignableTo(typeof(SteadyService)) || LetNothingOut.Contains(type), $"{type.Name} must be a {nameof(SteadyService)}."));

    private sealed class Stumbling(ILogger logger) : SteadyService(logger)
    {
        public int Steps { get; private set; }

        protected override Task<bool> StepAsync(CancellationToken stoppingToken) =>
            ++Steps <= 2 ? throw new InvalidOperationException("a bug") : Task.FromResult(Steps < 4);
    }
}
