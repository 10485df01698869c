using System.Diagnostics;

namespace GptFunctions.Tests.Support;

/// <summary>PostgreSQL and RabbitMQ for one test class that stops and starts them; everybody else keeps the shared ones.</summary>
internal sealed class PrivateServices(string name) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    public string DatabaseUrl { get; private set; } = "";

    public string BrokerUrl { get; private set; } = "";

    public async Task StartAsync()
    {
        var output = await RunAsync("up");
        DatabaseUrl = TestServices.Value(output, "DATABASE_URL");
        BrokerUrl = TestServices.Value(output, "RABBITMQ_URL");
    }

    /// <param name="service"><c>postgres</c> or <c>rabbitmq</c>, the first time or again; then on the same port as before.</param>
    public async Task StartAsync(string service)
    {
        var output = await RunAsync("up", service);
        DatabaseUrl = service == "postgres" ? TestServices.Value(output, "DATABASE_URL") : DatabaseUrl;
        BrokerUrl = service == "rabbitmq" ? TestServices.Value(output, "RABBITMQ_URL") : BrokerUrl;
    }

    public Task StopAsync(string service) => RunAsync("down", service);

    public async ValueTask DisposeAsync() => await RunAsync("down");

    private async Task<string> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("bash") { WorkingDirectory = TestServices.RepositoryRoot, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in (string[])["infra/dev/services.sh", .. arguments, "--name", name])
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["GPT_SERVICES"] = "local";
        start.Environment.Remove("DATABASE_URL");
        start.Environment.Remove("RABBITMQ_URL");
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(Patience);
        Assert.True(process.ExitCode == 0, $"infra/dev/services.sh {string.Join(' ', arguments)} failed; its messages stand above.");
        return output;
    }
}
