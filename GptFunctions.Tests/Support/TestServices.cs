using System.Diagnostics;

namespace GptFunctions.Tests.Support;

/// <summary>
/// The servers that tests run against: real ones. <c>make test</c> names them in TEST_DATABASE_URL and TEST_RABBITMQ_URL; a plain
/// <c>dotnet test</c> starts them by the same script.
/// </summary>
internal static class TestServices
{
    private static readonly Lazy<Task<string>> Database = new(() => FindAsync("TEST_DATABASE_URL", "DATABASE_URL", "postgres"));
    private static readonly Lazy<Task<string>> RabbitMq = new(() => FindAsync("TEST_RABBITMQ_URL", "RABBITMQ_URL", "rabbitmq"));

    public static string RepositoryRoot { get; } = FindRoot();

    public static Task<string> DatabaseUrlAsync() => Database.Value;

    /// <summary>Started by the first test that asks.</summary>
    public static Task<string> RabbitMqUrlAsync() => RabbitMq.Value;

    private static async Task<string> FindAsync(string setting, string name, string service)
    {
        if (Environment.GetEnvironmentVariable(setting) is { Length: > 0 } url)
        {
            return url;
        }

        using var process = Process.Start(new ProcessStartInfo("bash", ["infra/dev/services.sh", "up", "--name", "test", service])
        {
            WorkingDirectory = RepositoryRoot,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"infra/dev/services.sh up --name test {service} failed; its messages stand above.");
        return Value(output, name);
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
