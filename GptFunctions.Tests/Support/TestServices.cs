using System.Diagnostics;

namespace GptFunctions.Tests.Support;

/// <summary>
/// The servers that tests run against: real ones. <c>make test</c> names them in TEST_DATABASE_URL and TEST_RABBITMQ_URL; a plain
/// <c>dotnet test</c> starts them by the same script.
/// </summary>
internal static class TestServices
{
    private static readonly Lazy<Task<(string Database, string RabbitMq)>> Urls = new(FindAsync);

    public static string RepositoryRoot { get; } = FindRoot();

    public static async Task<string> DatabaseUrlAsync() => (await Urls.Value).Database;

    public static async Task<string> RabbitMqUrlAsync() => (await Urls.Value).RabbitMq;

    private static async Task<(string Database, string RabbitMq)> FindAsync()
    {
        if (Environment.GetEnvironmentVariable("TEST_DATABASE_URL") is { Length: > 0 } database && Environment.GetEnvironmentVariable("TEST_RABBITMQ_URL") is { Length: > 0 } broker)
        {
            return (database, broker);
        }

        var start = new ProcessStartInfo("bash") { WorkingDirectory = RepositoryRoot, RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in (string[])["infra/dev/services.sh", "up", "--name", "test"])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, "infra/dev/services.sh up --name test failed; its messages stand above.");
        return (Value(output, "DATABASE_URL"), Value(output, "RABBITMQ_URL"));
    }

    /// <summary>The value of an export line of services.sh.</summary>
    public static string Value(string output, string name) =>
        output.Split('\n').Single(line => line.StartsWith($"export {name}=", StringComparison.Ordinal))[$"export {name}=".Length..].Trim('\'', '"', ' ');

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory!.FullName, "Functions.sln")))
        {
            directory = directory.Parent;
        }

        return directory.FullName;
    }
}
