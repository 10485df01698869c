using System.CommandLine;
using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Development;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace GptFunctions;

/// <summary>
/// <c>GptFunctions setup</c>: brings the database to this program's schema, declares the broker's topology and writes the first client. Run before
/// the functions start; safe to repeat, and by several at once.
/// </summary>
internal static class SetupCommand
{
    public static Command Create()
    {
        var command = new Command(
            "setup",
            "Apply database migrations, declare the RabbitMQ topology, and write the first client (GPT_CLIENT_ID). Idempotent; says what it did.");
        command.SetAction((parsed, cancellationToken) => Commands.WithServicesAsync(parsed, services => RunAsync(services, cancellationToken)));
        return command;
    }

    /// <summary>Before the functions, where nobody calls it: <c>dotnet run</c> and debuggers.</summary>
    public static Task<int> RunFirstAsync() =>
        DevelopmentCheckout.IsAsked ? Commands.RunAsync(["setup"], [Create()], Features.Add) : Task.FromResult(0);

    private static async Task<int> RunAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var settings = services.GetRequiredService<IOptions<OAuthSettings>>().Value;
        var migrator = services.GetRequiredService<Migrator>();
        var applied = await migrator.ApplyAsync(cancellationToken);
        foreach (var migration in applied)
        {
            Console.WriteLine($"database: applied V{migration.Version:000}_{migration.Name}");
        }

        var version = await migrator.ReadVersionAsync(cancellationToken);
        Console.WriteLine(version > migrator.LatestVersion
            ? $"database: schema version {version} is newer than this program's {migrator.LatestVersion}: nothing applied, the program can run on it"
            : $"database: schema version {version}{(applied.Count == 0 ? ", nothing to do" : "")}");

        var partitions = await services.GetRequiredService<AuditTrail>()
            .CreatePartitionsAsync(services.GetRequiredService<TimeProvider>().GetUtcNow(), cancellationToken);
        Console.WriteLine($"audit trail: {(partitions == 0 ? "all partitions are there" : $"{partitions} monthly partitions added")}");
        await DeclareTopologyAsync(services, cancellationToken);

        var isNew = await services.GetRequiredService<ClientService>().EnsureFirstAsync();
        Console.WriteLine($"clients: {settings.ClientId} {(isNew ? "added" : "is as the settings say")}");
        if (services.GetRequiredService<IHostEnvironment>().IsDevelopment())
        {
            var file = Path.Combine(DevelopmentDefaults.LocalDirectory(), "demo-client.env");
            var name = Path.GetRelativePath(Environment.CurrentDirectory, file);
            try
            {
                DevelopmentDefaults.Write(
                    file,
                    $"GPT_CLIENT_ID={settings.ClientId}\nGPT_CLIENT_SECRET={settings.ClientSecret}\nGPT_REDIRECT_URI={settings.RedirectUris[0]}\n",
                    overwrite: true);
                Console.WriteLine($"clients: id, secret and redirect URI are in {name}");
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                Console.WriteLine(
                    $"clients: {name} with id, secret and redirect URI could not be written ({error.Message.TrimEnd('.')}); they are as your settings say");
            }
        }

        return 0;
    }

    private static async Task DeclareTopologyAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        if (services.GetRequiredService<IOptions<AuditSettings>>().Value.BrokerUrl is null)
        {
            Console.WriteLine("broker: RABBITMQ_URL is not set, events stay inside the process");
            return;
        }

        await services.GetRequiredService<Topology>().DeclareAsync(cancellationToken);
        Console.WriteLine($"broker: queue {AuditSettings.Queue} with its dead letters and bindings is declared");
    }
}
